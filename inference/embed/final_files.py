"""What is written when all parts are there: failures.csv, and for npy the one array with its keys.

All of it is read part by part and written in one go through, so that any number of pictures fits in memory.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from inference.embed.out_folder import FAILURES, KEYS_FILE, NPY_FILE, About
from inference.embed.parts import Parts
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import reason_of, whole_file


def write_failures(folder: Path, failures: Iterable[tuple[str, str]]) -> None:
    """Write failures.csv: key and reason of every picture that could not be used.

    Raises:
        WorkFailedError: it could not be written.
    """
    with _whole(folder / FAILURES) as file:
        file.write(_csv_line(("key", "reason")))
        for failure in failures:
            file.write(_csv_line(failure))


def write_npy(folder: Path, parts: Parts, rows_of: Mapping[int, int]) -> None:
    """Write embeddings.npy and keys.csv, whose rows are in the same order.

    Args:
        folder: of the run.
        parts: all of them.
        rows_of: number of each -> its embeddings.

    Raises:
        WorkFailedError: they could not be written, or a part is damaged.
    """
    about = parts.about
    shape = (sum(rows_of.values()), about.embed_dim)
    header = {"descr": np.dtype(about.dtype).str, "fortran_order": False, "shape": shape}
    try:
        with _whole(folder / NPY_FILE) as array, _whole(folder / KEYS_FILE) as keys:
            np.lib.format.write_array_header_1_0(array, header)
            keys.write(b"key\n")
            for names, row_ND in parts.rows(sorted(rows_of)):
                array.write(np.ascontiguousarray(row_ND, about.dtype).data)
                keys.write(b"".join(_csv_line((name,)) for name in names))
    except ValueError as error:
        raise WorkFailedError(f"{error}; run the same command again") from error


def is_whole_npy(folder: Path, about: About) -> bool:
    """Whether embeddings.npy is there with all that about.json says; its numbers are not looked at."""
    try:
        row_ND = np.lib.format.open_memmap(folder / NPY_FILE, mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return row_ND.shape == (about.num_embedded, about.embed_dim) and row_ND.dtype == about.dtype


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is under its name when the block ends, or as it was before."""
    try:
        with whole_file(path) as file:
            yield file
    except OSError as error:
        raise WorkFailedError(f"cannot write {path}: {reason_of(error)}") from error


def _csv_line(values: Iterable[str]) -> bytes:
    r"""One line, which ends in \n; a value with `\r` in it is quoted too, as readers end lines there."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"
