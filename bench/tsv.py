"""Gzip files of tab-separated lines without any quoting, as iNaturalist publishes them, written column by column."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.scatter import UInts, mix64

HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


class TsvWriter:
    """Writes one `.csv.gz`. The bytes depend on the columns alone: no time stamp, no name inside."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Opens path anew and writes the header line."""
        self._columns = tuple(columns)
        self._raw = path.open("wb")
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=1, mtime=0)
        self._file.write(("\t".join(self._columns) + "\n").encode())

    def write(self, columns: dict[str, pa.Array]) -> None:
        """Appends a line per row; nulls become empty. No value may hold a tab or a line break."""
        texts = [pc.fill_null(columns[name].cast(pa.string()), "") for name in self._columns]
        lines = pc.call_function("binary_join_element_wise", [*texts, pa.scalar("\t")])
        ended = pc.call_function("binary_join_element_wise", [lines, pa.scalar("\n"), pa.scalar("")]).cast(
            pa.large_string()
        )
        for piece in ended.chunks if isinstance(ended, pa.ChunkedArray) else [ended]:
            first, last = np.frombuffer(piece.buffers()[1], dtype=np.int64)[[piece.offset, piece.offset + len(piece)]]
            if last > first:
                self._file.write(memoryview(piece.buffers()[2])[first:last])

    def __enter__(self) -> TsvWriter:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self._file.close()
        self._raw.close()


def uuids(keys: np.ndarray, salt: int) -> pa.Array:
    """A lower-case UUID text per key, the same for the same key and salt."""
    halves = np.stack([mix64(keys, salt), mix64(keys, salt ^ 0x5DEECE66D)], axis=1)
    return _as_uuid_text(halves)


def _as_uuid_text(halves: UInts) -> pa.Array:
    """(n, 2) uint64 -> n strings of 36 characters."""
    size = halves.shape[0]
    nibbles = halves.astype(">u8").view(np.uint8).reshape(size, 16)
    digits = HEX[np.stack([nibbles >> 4, nibbles & 15], axis=2).reshape(size, 32)]
    text = np.full((size, 36), ord("-"), dtype=np.uint8)
    for start, stop, shift in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
        text[:, start + shift : stop + shift] = digits[:, start:stop]
    ends = pa.py_buffer(np.arange(0, 36 * (size + 1), 36, dtype=np.int32).tobytes())
    return pa.Array.from_buffers(pa.string(), size, [None, ends, pa.py_buffer(text.tobytes())])
