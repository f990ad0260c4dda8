"""One writer at a time: advisory locks of a data root."""

import fcntl
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from taxonomy.errors import BadInputError

_REFUSED_LETTER = re.compile(r"[\x00-\x1f\x7f%\[\]^|\\]")
"""What delta-rs cannot have in the path of a table; it fails on them, or finds another folder."""


def check_root(root: Path, create: bool = True) -> None:
    """Make sure that a writing command can work in `root`; `create` makes it where it is missing.

    Raises:
        BadInputError: it is an object-store URI, has a letter that Delta cannot take, is missing and must not be, or
            cannot be written.
    """
    if "://" in str(root) or ":/" in str(root):
        uri = re.sub(":/+", "://", str(root), count=1)
        raise BadInputError(f"--root {uri}: object stores are not supported yet for writing; give a local folder")
    if found := _REFUSED_LETTER.search(str(root.absolute())):
        raise BadInputError(
            f"--root {str(root)!r}: Delta tables cannot lie below a folder with {found.group()!r} in its name; "
            "choose a path without % [ ] ^ | \\ and control characters"
        )
    if not create and not root.is_dir():
        raise BadInputError(f"--root {root}: no such folder; taxaflow data ingest makes it")
    _check_writable("--root", root, root / "locks")


def check_scratch(folder: Path) -> None:
    """Make sure that unfinished work can lie in `folder`, which is made where it is missing.

    Raises:
        BadInputError: it cannot be written.
    """
    _check_writable("--scratch", folder, folder)


def _check_writable(flag: str, shown: Path, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInputError(f"{flag} {shown}: cannot be written ({error.strerror}); choose another folder") from error


_held: dict[Path, int] = {}
"""Lock file -> the thread of this process that holds it; a command takes its lock before Spark starts."""


@contextmanager
def lock(root: Path, name: str) -> Iterator[None]:
    """Hold the lock `name` of `root` until the block ends; the kernel releases it if the process dies.

    The thread that holds it may take it again, so that a job locks whether or not its command did before.

    Raises:
        BadInputError: someone else holds it; the message names host, pid and start.
    """
    path = (root / "locks" / f"{name}.lock").resolve()
    if _held.get(path) == threading.get_ident():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise BadInputError(f"{name} of {root} is in use by {holder}; wait for it to end") from None
        _held[path] = threading.get_ident()
        try:
            file.truncate(0)
            file.write(f"host {socket.gethostname()} pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")
            file.flush()
            yield
        finally:
            file.truncate(0)
            del _held[path]
