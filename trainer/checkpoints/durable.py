"""Files of a run that are there whole and on disk, or as they were before."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path`, replacing what has it, when the block ends without an error.

    Until then it is called `.<name>.tmp`; a crash leaves that behind, an error removes it. One writer at a time.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in the manner of `whole_file`."""
    with whole_file(path) as file:
        file.write(content)


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
