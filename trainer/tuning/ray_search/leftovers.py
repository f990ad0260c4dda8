"""What Ray leaves when it or the search is killed: a temporary folder, and processes that have files open in it."""

import os
import secrets
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from trainer.tuning.trials.spec import STOP

STORAGE = ".ray"
"""In OUT: what Ray Tune writes of its own; of no use afterwards."""

SESSION = ".session"
"""In OUT: the name of the temporary folder of Ray's processes."""

_CORE = ("gcs_server", "raylet")

_PREFIX = "taxaflow-tune-"

MAX_PARENT_CHARACTERS = 16
"""Of the path that the temporary folder is made in: the sockets' own names take 87 more, and 103 is what macOS allows.
Source: unix(4) of macOS; Linux allows 107."""


def temporary_parent() -> Path:
    """TMPDIR, or /tmp where that is too long for sockets in it, as of a job on a cluster."""
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) <= MAX_PARENT_CHARACTERS else "/tmp")


def make_temporary(out: Path, parent: Path) -> Path:
    """A temporary folder for Ray's processes, noted in OUT before it is there: it can be removed whatever happens."""
    temporary = parent / f"{_PREFIX}{secrets.token_hex(4)}"
    (out / SESSION).write_text(str(temporary), encoding="utf-8")
    temporary.mkdir(mode=0o700)
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


def core_processes(out: Path) -> list[int]:
    """The processes that Ray here cannot do without, none where they are unknown: on a cluster, not on Linux."""
    record = out / SESSION
    if not record.is_file():
        return []
    return [process for process in processes_in(Path(record.read_text("utf-8"))) if _name(process) in _CORE]


def has_ended(process: int) -> bool:
    """Whether a process is gone, or dead and not waited for; on Linux alone."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _name(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text("utf-8").strip()
    return ""


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
