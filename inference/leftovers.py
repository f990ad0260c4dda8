"""Hidden neighbours of files and folders, `.<name>.<process>.<ending>`, that a process which was killed left behind."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path


def leftovers(folder: Path, ending: str, name: str | None = None) -> list[Path]:
    """Those in a folder whose process is gone, of one name or of all; none where there is no folder."""
    form = re.compile(rf"\.{re.escape(name) if name else '.+'}\.(\d+)\.{re.escape(ending)}", re.DOTALL)
    try:
        there = [(path, form.fullmatch(path.name)) for path in folder.iterdir()]
    except OSError:
        return []
    return [path for path, match in there if match is not None and not _runs(int(match[1]))]


def sweep(folder: Path, ending: str, name: str | None = None) -> None:
    """Remove them; what cannot be removed stays."""
    for path in leftovers(folder, ending, name):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError):
            path.unlink()


def _runs(process: int) -> bool:
    """Whether another process of this number is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return process != os.getpid()
