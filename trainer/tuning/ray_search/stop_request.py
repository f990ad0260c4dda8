"""Being asked to stop a search: Ctrl-C or SIGTERM once lets trials save, a second time ends at once."""

import signal
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Notes SIGTERM and Ctrl-C for as long as the block lasts.

    Attributes:
        is_set: whether one came.
        is_ctrl_c: whether it was Ctrl-C.
    """

    def __init__(self) -> None:
        self.is_set = self.is_ctrl_c = False
        self._before = {number: signal.getsignal(number) for number in _NUMBERS}

    def __enter__(self) -> "StopRequest":
        """Begin to note."""
        self.listen()
        return self

    def listen(self) -> None:
        """Note them again, after something else took them."""
        if not self.is_set:
            for number in _NUMBERS:
                signal.signal(number, self._note)

    def __exit__(self, *_: object) -> None:
        """Leave signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True
        self.is_ctrl_c = self.is_ctrl_c or number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
