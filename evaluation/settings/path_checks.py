"""Whether files and folders named by flags are there, or can be made; nothing is opened or made."""

import os
from pathlib import Path

from taxonomy.errors import BadInputError


def check_folder(flag: str, value: str | Path | None) -> None:
    """Check that a folder is there; None is passed over.

    Raises:
        BadInputError: it is not, or is a file.
    """
    if value is not None and not Path(value).is_dir():
        kind = "is a file; give a folder" if Path(value).exists() else "no such folder"
        raise BadInputError(f"{flag} {value}: {kind}")


def check_file(flag: str, value: str | Path | None) -> None:
    """Check that a file is there; None is passed over.

    Raises:
        BadInputError: it is not, or is a folder.
    """
    if value is not None and not Path(value).is_file():
        kind = "is a folder; give a file" if Path(value).is_dir() else "no such file"
        raise BadInputError(f"{flag} {value}: {kind}")


def check_can_be_made(flag: str, folder: Path | None) -> None:
    """Check that a folder is there or can be made, and written to, as far as permissions tell; None is passed over.

    Raises:
        BadInputError: it cannot.
    """
    if folder is None:
        return
    nearest_one = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not nearest_one.is_dir():
        raise BadInputError(f"{flag} {folder}: {nearest_one} is a file; give a folder")
    if not os.access(nearest_one, os.W_OK | os.X_OK):
        raise BadInputError(f"{flag} {folder}: {nearest_one} may not be written to; give another folder")
