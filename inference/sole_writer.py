"""A folder that one process writes to at a time. No torch."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxonomy.errors import BadInputError, WorkFailedError


@contextmanager
def sole_writer(out: Path, folder: Path | None = None) -> Iterator[None]:
    """The folder, made, for this process alone until the block ends; the kernel lets go of it if the process dies.

    Args:
        out: of --out, which messages name.
        folder: in it, which gets an empty `.lock`; None: `out` itself.

    Raises:
        BadInputError: another process is writing there, or it is no folder.
        WorkFailedError: it cannot be made or written.
    """
    folder = folder or out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except FileExistsError as error:
        raise BadInputError(f"--out {out}: there, but no folder, nor a link to one; give another") from error
    except OSError as error:
        raise WorkFailedError(f"--out {out}: {error.strerror}") from error
    with lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, workers do not inherit it
        except (BlockingIOError, PermissionError) as error:
            raise BadInputError(f"--out {out}: another run is writing there; wait for it to end") from error
        except OSError as error:  # a file system without locks
            raise WorkFailedError(f"--out {out}: cannot be locked: {error.strerror}") from error
        yield
