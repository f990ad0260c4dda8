"""`taxaflow train`: one process here, or several under torchrun, with one error line and one exit code.

The parent shares a folder with the trainer processes (FOLDER_VARIABLE): it asks them to stop by a file in it, and
they leave in it the line and the code they end with, since torchrun itself knows only 0 and 1.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

FOLDER_VARIABLE = "TAXAFLOW_LAUNCH_FOLDER"
STOP, ENDING = "stop", "ending.json"


def launch(arguments: Sequence[str], num_processes: int) -> int:
    """Train in this many processes on this machine; the exit code of the whole.

    SIGTERM and Ctrl-C let the processes finish their step, save and end; a second one is passed on to torchrun.

    Raises:
        KeyboardInterrupt: it was asked to stop by Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="taxaflow-train-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "trainer.torchrun", "--standalone", "--nproc-per-node"]
        command += [str(num_processes), "-m", "trainer", "--", *arguments]  # else it takes --logs for a flag of its own
        child = subprocess.Popen(command, env=os.environ | {FOLDER_VARIABLE: name}, start_new_session=True)
        asked_to_stop = _stop_gently(child, folder)
        code = child.wait()
        return _ending(folder, code, asked_to_stop)


def _stop_gently(child: subprocess.Popen, folder: Path) -> list[int]:
    """Answer signals by the stop file, then by passing them on; the list grows by each signal that came."""
    seen: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if seen:
            child.send_signal(signal.SIGTERM)
        else:
            (folder / STOP).touch()
        seen.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return seen


def _ending(folder: Path, code: int, asked_to_stop: Sequence[int]) -> int:
    """The exit code; says again, as the last line, what torchrun's own report has buried."""
    path = folder / ENDING
    if code != 0 and path.exists():
        ending = json.loads(path.read_text("utf-8"))
        print(ending["line"], file=sys.stderr, flush=True)
        return ending["code"]
    if signal.SIGINT in asked_to_stop:
        raise KeyboardInterrupt
    return 1 if code < 0 and not asked_to_stop else abs(code)


def leave_word(line: str, code: int) -> bool:
    """Tell the parent how this process ends; False where there is none. The first of the processes is heard."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return False
    own = Path(folder) / f"{os.getpid()}.json"
    own.write_text(json.dumps({"line": line, "code": code}), encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(own, Path(folder) / ENDING)
    return True


def has_ended() -> bool:
    """Whether a process has told the parent how it ends."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return folder is not None and (Path(folder) / ENDING).exists()


def asked_to_stop() -> bool:
    """Whether the parent has asked for a stop."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return folder is not None and (Path(folder) / STOP).exists()
