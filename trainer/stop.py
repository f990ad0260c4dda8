"""Being asked to stop: by signal, by the parent of `taxaflow train`, on any rank."""

import signal
from types import FrameType

from trainer.distributed import Ranks, any_rank
from trainer.launch import asked_to_stop


class StopSignals:
    """Notes SIGTERM, SIGUSR1 and Ctrl-C from when it is made; a second one ends the process as it always would.

    Attributes:
        was_interrupted: whether it was Ctrl-C.
    """

    def __init__(self) -> None:
        self.was_interrupted = False
        self._is_asked = False
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._note)

    def on_any_rank(self, ranks: Ranks) -> bool:
        """Whether any rank was asked; all get the same answer. Call it once per step, on all."""
        return any_rank(self._is_asked or (ranks.is_first and asked_to_stop()), ranks)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
        self.was_interrupted = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if self.was_interrupted else signal.SIG_DFL)
