"""Rows into a file or onto stdout, in a stream: CSV, JSON lines or parquet. A file is there complete or not at all."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import IO

from inference.leftovers import sweep
from inference.predict.rows import COLUMNS, REAL, WHOLE, Row
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import reason_of, whole_file

Write = Callable[[Sequence[Row]], None]
"""Takes some rows."""

_ROWS_OF_A_GROUP = 16_384
"""Of a parquet file: what is held in memory."""


@contextmanager
def row_file(path: Path | None, format_: str) -> Iterator[Write]:
    """What writes rows to a file, which appears when the block ends without an error; its folder is made.

    Args:
        path: of the file; None for stdout, which gets the rows as they come.
        format_: "csv", "jsonl" or "parquet", which needs a path.

    Raises:
        WorkFailedError: it could not be written, as on a full disk.
    """
    text_writers = {"csv": _csv, "jsonl": _json_lines}
    if path is None:
        with _to_stdout(), text_writers[format_](sys.stdout) as write:
            yield write
        return
    writer = text_writers.get(format_, partial(_parquet, path))
    with _whole(path, is_text=format_ in text_writers) as file, writer(file) as write:
        yield lambda rows: _checked(path, write, rows)


@contextmanager
def _whole(path: Path, is_text: bool) -> Iterator[IO]:
    """A file that takes its name when the block ends without an error; what killed runs left of it is removed."""
    with ExitStack() as stack:
        with _said(path):
            sweep(path.parent, "tmp", path.name)
            binary = stack.enter_context(whole_file(path))
            file = TextIOWrapper(binary, encoding="utf-8", newline="") if is_text else binary
        yield file
        with _said(path):
            file.flush()
            stack.close()


def _checked(path: Path, write: Write, rows: Sequence[Row]) -> None:
    with _said(path):
        write(rows)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """The block, whose failures to write are said with the path."""
    try:
        yield
    except OSError as error:
        raise WorkFailedError(f"cannot write {path}: {reason_of(error)}") from error


@contextmanager
def _to_stdout() -> Iterator[None]:
    """The block, in UTF-8 whatever the locale; a reader that has seen enough, as `head`, ends it without a word."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


@contextmanager
def _csv(file: IO) -> Iterator[Write]:
    r"""Lines end in \n; a value with `\r` in it is quoted too, as readers end lines there."""
    line = StringIO()
    writer = csv.writer(line, lineterminator="\r\n")

    def write(rows: Iterable[Iterable]) -> None:
        for row in rows:
            writer.writerow(row)
            file.write(line.getvalue().removesuffix("\r\n") + "\n")
            line.seek(0)
            line.truncate()

    write([COLUMNS])
    yield lambda rows: write(map(_short, rows))


@contextmanager
def _json_lines(file: IO) -> Iterator[Write]:
    def write(rows: Sequence[Row]) -> None:
        records = (dict(zip(COLUMNS, _short(row), strict=True)) for row in rows)
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)

    yield write


def _short(row: Row) -> list:
    """The row, with numbers as short as those of float32 can be."""
    return [float(f"{value:.9g}") if isinstance(value, float) else value for value in row]


@contextmanager
def _parquet(path: Path, file: IO) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {WHOLE: pa.int32(), REAL: pa.float32()}
    schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, kind in COLUMNS.items()])
    waiting: list[Row] = []

    def flush() -> None:
        columns = list(zip(*waiting, strict=True)) or [()] * len(COLUMNS)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        waiting.clear()

    def write(rows: Sequence[Row]) -> None:
        waiting.extend(rows)
        if len(waiting) >= _ROWS_OF_A_GROUP:
            flush()

    writer = pq.ParquetWriter(file, schema)
    try:
        yield write
        with _said(path):
            flush()
            writer.close()
    finally:
        with suppress(OSError):  # before the file closes; what could not be written was said
            writer.close()
