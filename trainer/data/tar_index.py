"""Where the members of a tar's samples lie, found from its headers alone and kept for other processes.

Reading the headers of a shard of 10,000 samples takes a fraction of a second on a local disk, but every loader worker
of every rank needs them. So they are kept in the machine's folder for temporary files, 32 bytes a sample, under a name
that changes with the tar; without such a folder everybody reads headers, and nothing else changes.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from taxonomy.whole_file import whole_file

BLOCK = 512
PICTURE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp"})
_REGULAR_FILES = frozenset({b"0", b"\0"})
_COLUMNS = {"picture": (0, 1), "json": (2, 3)}


class DamagedTar(Exception):
    """A tar cannot be read to its end; the message names the file and what is wrong."""


def sample_offsets(path: Path, num_bytes: int) -> np.ndarray:
    """Where each sample's picture and JSON lie, int64 [samples, 4]: picture offset, bytes, JSON offset, bytes.

    A sample is a run of members whose names agree up to the first dot of the base name; of two pictures the first
    counts. 0 bytes stand for a missing member.

    Raises:
        DamagedTar: a header is damaged or missing, or the file ends inside a member.
        OSError: the file cannot be read.
    """
    rows: list[list[int]] = []
    last_key: str | None = None
    for name, offset, size in _members(path, num_bytes):
        folder, _, base = name.rpartition("/")
        stem, _, suffix = base.partition(".")
        kind = "picture" if suffix.lower() in PICTURE_SUFFIXES else suffix.lower()
        if (key := f"{folder}/{stem}") != last_key:
            rows.append([0, 0, 0, 0])
            last_key = key
        if kind in _COLUMNS:
            start, length = _COLUMNS[kind]
            if not rows[-1][length]:
                rows[-1][start], rows[-1][length] = offset, size
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def kept_offsets(path: Path, sha256: str, folder: Path | None = None) -> np.ndarray:
    """What `sample_offsets` says, from the kept file where there is one, which is otherwise written.

    Args:
        path: the tar.
        sha256: the tar's, as its manifest has it; part of the kept file's name, as are size and time of change.
        folder: where offsets are kept; None: below the machine's folder for temporary files.
    """
    facts = path.stat()
    kept = _own_folder(folder)
    if kept is None:
        return sample_offsets(path, facts.st_size)
    file = kept / f"{sha256[:24]}-{facts.st_size}-{facts.st_mtime_ns}.npy"
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        offsets = sample_offsets(path, facts.st_size)
        _keep(file, offsets)
        return offsets


def _members(path: Path, num_bytes: int) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of the regular files in a tar. Source: POSIX.1-2017, pax, ustar Interchange Format."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        position = 0
        while True:
            header = os.pread(file, BLOCK, position)
            if len(header) < BLOCK:
                raise DamagedTar(f"{path} ends at byte {position + len(header):,} without the end mark of a tar")
            if not header.strip(b"\0"):
                return
            if header[257:262] != b"ustar":
                raise DamagedTar(f"{path} is damaged at byte {position:,}: no tar header there")
            size, start = _size(path, header, position), position + BLOCK
            position = start + (size + BLOCK - 1) // BLOCK * BLOCK
            if position > num_bytes:
                raise DamagedTar(f"{path} has {num_bytes:,} bytes and ends inside a member")
            if header[156:157] in _REGULAR_FILES:
                yield _name(header), start, size
    finally:
        os.close(file)


def _size(path: Path, header: bytes, position: int) -> int:
    field = header[124:136]
    if field[0] & 0x80:  # GNU's form for 8 GiB and more
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b" \0") or b"0", 8)
    except ValueError as error:
        raise DamagedTar(f"{path} is damaged at byte {position:,}: the header's size is {field!r}") from error


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0].decode("utf-8", "replace")
    prefix = header[345:500].split(b"\0", 1)[0].decode("utf-8", "replace") if header[262:263] == b"\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _own_folder(folder: Path | None) -> Path | None:
    """The folder for kept offsets, made if absent; None where it cannot be had or could be written by others."""
    folder = folder or Path(tempfile.gettempdir()) / f"taxaflow-offsets-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    safe = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022
    return folder if safe else None


def _keep(file: Path, offsets: np.ndarray) -> None:
    """Write the offsets whole or not at all; a full disk is no reason to stop."""
    with suppress(OSError), whole_file(file, on_disk=False) as unfinished:
        np.save(unfinished, offsets)
