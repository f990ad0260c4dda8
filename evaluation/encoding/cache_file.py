"""Files of a cache: complete or absent, and never needed. No torch."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from taxonomy.whole_file import reason_of, whole_file

_LOG = logging.getLogger(__name__)


def write_cache(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Whether the file is there now, renamed into place when complete.

    A cache that cannot be written, as on a full disk, costs a warning and the time to make it anew.

    Args:
        path: its folder is made.
        write: puts the content into an open file.
    """
    try:
        with whole_file(path, on_disk=False) as file:
            write(file)
    except OSError as error:
        _LOG.warning("cannot write %s (%s): what belongs there is not kept for the next run", path, reason_of(error))
        return False
    return True
