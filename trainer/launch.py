"""`taxaflow train`: one process here, or several under torchrun, with one error line and one exit code.

The parent shares a folder with the trainer processes (taxonomy/launch_folder.py): it asks them to stop by a file in
it, and they leave in it the line and the code they end with.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from taxonomy.launch_folder import FOLDER_VARIABLE, launch_folder, say_word

STOP = "stop"


def launch(arguments: Sequence[str], num_processes: int) -> int:
    """Train in this many processes on this machine; the exit code of the whole.

    SIGTERM and Ctrl-C let the processes finish their step, save and end; a second one is passed on to torchrun.

    Raises:
        KeyboardInterrupt: it was asked to stop by Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="taxaflow-train-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "evaluation.torchrun", "--standalone", "--nproc-per-node"]
        command += [str(num_processes), "-m", "trainer", "--", *arguments]  # else it takes --logs for a flag of its own
        children: list[subprocess.Popen] = []
        asked_to_stop = _stop_gently(children, folder)
        child = subprocess.Popen(command, env=os.environ | {FOLDER_VARIABLE: name}, start_new_session=True)
        children.append(child)
        if len(asked_to_stop) > 1:  # the second came before there was anybody to pass it on to
            child.terminate()
        code = child.wait()
        return _ending(folder, code, asked_to_stop)


def _stop_gently(children: Sequence[subprocess.Popen], folder: Path) -> list[int]:
    """Answer signals by the stop file, then by ending the children; the list grows by each signal that came."""
    seen: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) == 1:
            (folder / STOP).touch()
            return
        for child in children:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return seen


def _ending(folder: Path, code: int, asked_to_stop: Sequence[int]) -> int:
    """The exit code; says again, as the last line, what torchrun's own report has buried."""
    if code != 0 and (said := say_word(folder)) is not None:
        return said
    if signal.SIGINT in asked_to_stop:
        raise KeyboardInterrupt
    return 1 if code < 0 and not asked_to_stop else abs(code)


def asked_to_stop() -> bool:
    """Whether the parent has asked for a stop."""
    folder = launch_folder()
    return folder is not None and (folder / STOP).exists()
