"""Rows of vectors in one .npy file, written in a stream, mapped when read, and checked at the memory's speed. No torch.

Beside the file someone keeps a sum for each block of rows, of its bytes as 64-bit words with a weight for each place:
lost, zeroed, flipped and exchanged ones are found in the time that it takes to look at them, where a cryptographic
hash would take ten times that. It is no defence against somebody who means to deceive.

Shapes: C rows, D columns, P rows of a block, S sums of W words, X bytes.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from taxonomy.whole_file import sync

BLOCK_ROWS = 65_536
"""Rows of one sum."""

_WORDS = 256
"""Of one weighted sum: 2 kB."""

_WEIGHT_W = np.frombuffer(hashlib.shake_256(b"taxaflow").digest(8 * _WORDS), "<u8").astype(np.uint64) | np.uint64(1)
"""Odd, so that no change of one word is lost."""

_THREADS = max(1, min(4, os.cpu_count() or 1))


def write_vectors(path: Path, parts: Iterable[np.ndarray], shape: tuple[int, int], dtype: str) -> list[str]:
    """The sums of a file of all parts in their order; it is on disk then.

    Raises:
        OSError: it could not be written; what is there is incomplete.
        ValueError: a part does not fit, or the parts are not as many rows as the shape says.
    """
    sums, filled, num_rows = [], 0, 0
    block_PD = np.empty((min(BLOCK_ROWS, shape[0]), shape[1]), dtype)
    with path.open("wb") as file:
        header = {"descr": block_PD.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part_PD in parts:
            start = 0
            while start < len(part_PD):
                taken = min(len(part_PD) - start, len(block_PD) - filled)
                block_PD[filled : filled + taken] = part_PD[start : start + taken]
                start, filled, num_rows = start + taken, filled + taken, num_rows + taken
                if filled == len(block_PD) or num_rows == shape[0]:
                    file.write(block_PD[:filled].data)
                    sums.append(word_sum(block_PD[:filled]))
                    filled = 0
    if num_rows != shape[0] or filled:
        raise ValueError(f"{num_rows} rows where {shape[0]} were expected")
    sync(path)
    return sums


def map_vectors(path: Path, shape: tuple[int, int], dtype: str, sums: Sequence[str]) -> np.ndarray:
    """The rows [C, D], mapped from the file: pages are read when they are looked at, and may be given up again.

    Raises:
        OSError: it cannot be read.
        ValueError: it does not fit shape, type or sums.
    """
    row_CD = np.load(path, mmap_mode="c", allow_pickle=False)
    if row_CD.shape != tuple(shape) or row_CD.dtype != np.dtype(dtype) or not row_CD.flags.c_contiguous:
        raise ValueError(f"{row_CD.dtype} {list(row_CD.shape)} where {dtype} {list(shape)} was expected")
    blocks = (row_CD[start : start + BLOCK_ROWS] for start in range(0, len(row_CD), BLOCK_ROWS))
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(word_sum, blocks))
    if found != list(sums):
        raise ValueError("its content has changed since it was written")
    return row_CD


def word_sum(row_PD: np.ndarray) -> str:
    """Hex SHA-256 of weighted sums modulo 2^64, one of every 256 words of 64 bits, and of the bytes that are left."""
    byte_X = row_PD.reshape(-1).view(np.uint8)
    whole = len(byte_X) // (8 * _WORDS) * (8 * _WORDS)
    word_SW = byte_X[:whole].view(np.uint64).reshape(-1, _WORDS)
    digest = hashlib.sha256(np.einsum("sw,w->s", word_SW, _WEIGHT_W).tobytes())
    digest.update(byte_X[whole:].tobytes())
    return digest.hexdigest()
