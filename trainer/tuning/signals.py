"""Being asked to stop a search: Ctrl-C or SIGTERM once lets trials save, a second time ends at once."""

import signal
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Asked:
    """Notes SIGTERM and Ctrl-C for as long as the block lasts.

    Attributes:
        to_stop: whether one came.
        was_interrupted: whether it was Ctrl-C.
    """

    def __init__(self) -> None:
        self.to_stop = self.was_interrupted = False
        self._before = {number: signal.getsignal(number) for number in _NUMBERS}

    def __enter__(self) -> "Asked":
        """Begin to note."""
        self.listen()
        return self

    def listen(self) -> None:
        """Note them again, after something else took them."""
        if not self.to_stop:
            for number in _NUMBERS:
                signal.signal(number, self._note)

    def __exit__(self, *_: object) -> None:
        """Leave signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.to_stop = True
        self.was_interrupted = self.was_interrupted or number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
