"""The parent of a trial's trainer: a small process that has it save and end when whoever started the trial ends.

Run as `python -m trainer.tuning.trials.supervisor STARTER FOLDER -- COMMAND...`. It takes the trial's lock, which stays
locked until the trainer and whatever that has started have ended: two processes never train one trial.

The kernel's signal of a parent's death comes once for each of its threads, and a trainer takes the second signal for
impatience. So it is this process, with one thread and any patience, that is told, and that tells the trainer once.
"""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from trainer.tuning.trials.folder import LOCK, TrialFolder

_PR_SET_PDEATHSIG = 1
"""Source: prctl(2), Linux."""

_PAUSE_S = 0.05


def command(starter: int, folder: TrialFolder, trainer: Sequence[str]) -> list[str]:
    """The command line of a trial's process.

    Args:
        starter: the process it ends with.
        folder: of the trial.
        trainer: the trainer's arguments.
    """
    own = [sys.executable, "-m", "trainer.tuning.trials.supervisor", str(starter), str(folder.path)]
    return [*own, "--", sys.executable, "-m", "trainer", *trainer]


class _Supervisor:
    """Starts the trainer, and passes on to it, once, that it is to save and end."""

    def __init__(self) -> None:
        self.is_asked = False
        self.trainer: subprocess.Popen[bytes] | None = None

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Have the trainer end; as a handler of signals, too."""
        if not self.is_asked and self.trainer is not None:
            self.trainer.terminate()
        self.is_asked = True

    def run(self, words: Sequence[str], lock: int, files: TrialFolder) -> int:
        """The exit code of the trainer, which inherits the lock; its start and end are noted."""
        last_log_time, own = files.last_log_time(), os.getpid()
        self.trainer = subprocess.Popen(words, pass_fds=[lock], preexec_fn=lambda: _end_with(own))
        files.append_event("start", self.trainer.pid, host=socket.gethostname(), last_log_time=last_log_time)
        if self.is_asked:
            self.trainer.terminate()
        code = self.trainer.wait()
        files.append_event("end", self.trainer.pid, code=code)
        return code


def main(arguments: Sequence[str]) -> None:
    """Run the command when the trial is free, and end as it does."""
    starter, path, _, *words = arguments
    supervisor = _Supervisor()
    signal.signal(signal.SIGTERM, supervisor.ask)
    _end_with(int(starter))
    folder = Path(path)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    while not _locked(lock) and not supervisor.is_asked:
        time.sleep(_PAUSE_S)
    if supervisor.is_asked:
        return
    number = int(folder.name.rpartition("_")[2])
    code = supervisor.run(words, lock, TrialFolder(folder.parent, number))
    if code < 0:  # killed: end likewise, so that the starter sees it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    raise SystemExit(code)


def _end_with(parent: int) -> None:
    """Have this process get SIGTERM when its parent ends, however that ends; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
