"""What Ray leaves when it or the search is killed: a temporary folder, and processes that have files open in it."""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

STORAGE = ".ray"
"""In OUT: what Ray Tune writes of its own; of no use afterwards."""

SESSION = ".session"
"""In OUT: the name of the temporary folder of Ray's processes."""

STOP = ".stop"
"""In OUT: all trials are to save and end."""

_PREFIX = "taxaflow-tune-"


def make_temporary(out: Path) -> Path:
    """A temporary folder for Ray's processes, noted in OUT so that it can be removed whatever happens."""
    temporary = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (out / SESSION).write_text(str(temporary), encoding="utf-8")
    return temporary


def remove_leftovers(out: Path) -> None:
    """End the processes of the folder that OUT names, and remove it; without one nothing happens.

    Nothing else is touched: the folder must be one that `make_temporary` made, the processes must work in it.
    """
    (out / STOP).unlink(missing_ok=True)
    record = out / SESSION
    if record.is_file():
        left = Path(record.read_text("utf-8"))
        if left.name.startswith(_PREFIX) and left.is_dir():
            for process in processes_in(left):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            shutil.rmtree(left, ignore_errors=True)
        record.unlink()
    shutil.rmtree(out / STORAGE, ignore_errors=True)


def processes_in(folder: Path) -> list[int]:
    """The other processes of this machine that have a file in the folder open; on Linux alone.

    Trials are none of them: all that they write is in OUT.
    """
    start = f"{folder}{os.sep}"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and any(target.startswith(start) for target in _open_files(process)):
            found.append(int(process.name))
    return found


def _open_files(process: Path) -> list[str]:
    """Targets of a process's file descriptors; empty where they may not be seen, or it has ended."""
    targets = []
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                targets.append(str(descriptor.readlink()))
    return targets
