"""Files of a cache: complete or absent, and never needed. No torch."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_LOG = logging.getLogger(__name__)


def write_cache(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Whether the file is there now, renamed into place when complete.

    A cache that cannot be written, as on a full disk, costs a warning and the time to make it anew.

    Args:
        path: its folder is made.
        write: puts the content into an open file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        _LOG.warning("cannot write %s (%s): what belongs there is not kept for the next run", path, error.strerror)
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()
    return True
