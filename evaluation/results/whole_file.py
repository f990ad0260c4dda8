"""Files of results that are there complete and on disk, or as they were before."""

import os
from contextlib import suppress
from pathlib import Path

from taxonomy.errors import WorkFailedError


def write_whole(path: Path, content: bytes) -> None:
    """Return when the file is there complete and on disk; makes its folder, leaves equal content alone.

    Until then it is called `.<name>.<pid>.tmp`; a crash leaves that behind, an error removes it.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise WorkFailedError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
