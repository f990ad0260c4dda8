"""A finished local file becomes visible under its final name whole, or not at all."""

import os
import shutil
from pathlib import Path


def publish(file: Path, folder: Path, name: str, attempt: str) -> Path:
    """Copy a file into a folder so that `name` is there only complete and on disk; returns its path there.

    Until then it is called `.<name>.<attempt>.tmp`; a crash leaves that behind, an error removes it. A file already
    there is replaced.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{attempt}.tmp"
    try:
        shutil.copyfile(file, temporary)
        _sync(temporary)
        temporary.rename(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(folder)
    return folder / name


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there complete and on disk, or as it was before; makes its folder.

    Until then it is called `.<name>.<pid>.tmp`; a crash leaves that behind, an error removes it.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
