"""A finished local file becomes visible under its final name whole, or not at all."""

import shutil
from pathlib import Path

from taxonomy.whole_file import whole_file

_PIECE = 1 << 20


def publish(file: Path, folder: Path, name: str, attempt: str) -> Path:
    """Copy a file into a folder so that `name` is there only complete and on disk; returns its path there.

    Until then it is called `.<name>.<attempt>.tmp`; a crash leaves that behind, an error removes it. A file already
    there is replaced.

    Raises:
        OSError: it could not be written, as on a full disk.
    """
    with file.open("rb") as source, whole_file(folder / name, folder / f".{name}.{attempt}.tmp") as copy:
        shutil.copyfileobj(source, copy, _PIECE)
    return folder / name
