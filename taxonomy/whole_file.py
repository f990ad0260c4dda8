"""Files that are there whole and on disk, or as they were before. Standard library only."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from taxonomy.errors import WorkFailedError


@contextmanager
def whole_file(path: Path, temporary: Path | None = None, on_disk: bool = True) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path`, replacing what has it, when the block ends without an error.

    Args:
        path: its folder is made.
        temporary: what it is called until then, in the same folder; None: `.<name>.<pid>.tmp`. A crash leaves that
            behind, an error removes it.
        on_disk: wait until content and name are on disk; False for what may be lost with the power, as caches.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    temporary = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = temporary.open("wb")
    try:
        yield file
        file.flush()
        if on_disk:
            os.fsync(file.fileno())
        file.close()
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # as again on the full disk
            file.close()
        with suppress(OSError):
            temporary.unlink()
        raise
    if on_disk:
        sync(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Return when the file is there complete and on disk; makes its folder, leaves equal content alone.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise WorkFailedError(f"cannot write {path}: {reason_of(error)}") from error


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reason_of(error: BaseException) -> str:
    """In a few words why a write failed: the operating system's where it can be found, as in what torch raises."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    first_line = str(error).partition("\n")[0]
    number = re.search(r"\(os error (\d+)\)", first_line)  # safetensors, which is written in Rust
    return os.strerror(int(number[1])) if number else first_line
