"""`taxaflow eval --nproc N`: processes under torchrun on this machine, with one error line and one exit code.

The processes leave the line and the code that they end with in a folder of the parent's (taxonomy/launch_folder.py),
which says them as its own. No torch in the parent.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from taxonomy.launch_folder import FOLDER_VARIABLE, say_word


def launch(arguments: Sequence[str], num_processes: int) -> int:
    """Evaluate in this many processes on this machine; the exit code of the whole.

    Raises:
        KeyboardInterrupt: it was asked to stop by Ctrl-C; the processes have ended.
    """
    with tempfile.TemporaryDirectory(prefix="taxaflow-eval-") as folder:
        command = [sys.executable, "-m", "evaluation.torchrun", "--standalone", "--nproc-per-node", str(num_processes)]
        command += ["-m", "evaluation", "--", *arguments]  # else torchrun takes --logs for a flag of its own
        threads = str(max(1, (os.cpu_count() or 1) // num_processes))
        environment = {"OMP_NUM_THREADS": threads} | os.environ | {FOLDER_VARIABLE: folder}
        children: list[subprocess.Popen] = []
        signals = _pass_on_signals(children)
        child = subprocess.Popen(command, env=environment, start_new_session=True)
        children.append(child)
        if signals:  # one came before there was anybody to pass it on to
            child.terminate()
        code = child.wait()
        if signal.SIGINT in signals:
            raise KeyboardInterrupt
        return _code(Path(folder), code)


def _pass_on_signals(children: Sequence[subprocess.Popen]) -> list[int]:
    """End the children when this process is asked to end; the list returned grows by each signal that came."""
    seen: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        for child in children:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return seen


def _code(folder: Path, code: int) -> int:
    """The exit code; says, as the last line, how the first process to fail ended."""
    if code != 0 and (said := say_word(folder)) is not None:
        return said
    return code if code >= 0 else 128 - code
