"""A local file that takes pictures as they arrive and gives them back in any order."""

import os
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO, cast


class Spool:
    """Append-only file of byte strings by key; any number of threads may append.

    Args:
        folder: where the file lies, without a name: it is gone with `close`, and with a process that is killed.
    """

    def __init__(self, folder: Path) -> None:
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by `close`
        self._file = cast(BinaryIO, file)
        self._lock = threading.Lock()
        self._places: dict[int, tuple[int, int]] = {}
        self._size = 0

    def append(self, key: int, data: bytes) -> None:
        """Store the bytes of a key that has none yet.

        Raises:
            OSError: they could not be written, as on a full disk; the spool is then of no more use.
        """
        with self._lock:
            assert key not in self._places, key
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._places[key] = (self._size, len(data))
            self._size += len(data)

    def read(self, key: int) -> bytes:
        """The bytes of a key."""
        start, size = self._places[key]
        data = os.pread(self._file.fileno(), size, start)
        assert len(data) == size, (key, len(data), size)
        return data

    def __contains__(self, key: int) -> bool:
        return key in self._places

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
