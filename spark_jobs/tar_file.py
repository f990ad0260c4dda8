"""Writes the plainest tar there is: equal members give equal bytes on every machine and in every year."""

import hashlib
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
MAX_MEMBER_BYTES = 8**11 - 1


class TarFile:
    """A ustar file in the making; owner 0, time 0, mode 0644. Source: POSIX.1-2017, pax, ustar Interchange Format.

    Tar libraries cost two to four times as much as the bare headers made here.

    Args:
        path: created, or written over; complete only after `finish`.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._hash = hashlib.sha256()
        self.num_bytes = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a member; returns the offset of its first byte of data in the file."""
        self._write(ustar_header(name, len(data)))
        offset = self.num_bytes
        self._write(data)
        self._write(b"\0" * (-len(data) % BLOCK))
        return offset

    def finish(self) -> str:
        """Write the end mark and close; returns the sha256 of the whole file, hex."""
        self._write(b"\0" * 2 * BLOCK)
        self._file.close()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close, finished or not."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.num_bytes += len(data)


def ustar_header(name: str, num_bytes: int) -> bytes:
    """The 512-byte header of a regular file; the name takes at most 100 bytes, the size is below 8 GiB."""
    encoded = name.encode()
    assert 0 < len(encoded) <= 100, name
    assert num_bytes <= MAX_MEMBER_BYTES, num_bytes
    zero = b"0000000\0"
    start = encoded.ljust(100, b"\0") + b"0000644\0" + zero + zero + b"%011o\0" % num_bytes + b"%011o\0" % 0
    rest = b"0" + b"\0" * 100 + b"ustar\x0000" + b"\0" * 64 + zero + zero + b"\0" * 167
    checksum = sum(start) + sum(rest) + 8 * ord(" ")
    return start + b"%06o\0 " % checksum + rest
