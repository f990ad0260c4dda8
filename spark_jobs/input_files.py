"""Which metadata files an ingest reads, their forms and columns: all that is known before Spark starts."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.config import SOURCE_COLUMNS, IngestConfig
from taxonomy.errors import BadInputError

SUFFIXES: Mapping[str, str] = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv"}
"""Ending of a file's name -> its format."""

OPTIONAL_COLUMNS = ("taxon_rank", "license", "attribution", "observation_id")
"""Columns of ours that a BioTrove file may lack (it has eleven or twelve)."""

CSV_REQUIRED = ("photo_url", "kingdom", "genus", "species")
"""Columns of ours without which a file of other origin names no species."""


@dataclass(frozen=True)
class FileGroup:
    """Files of one form, read by one reader.

    Attributes:
        format: parquet or csv.
        paths: absolute, sorted.
        header: names of the files' columns, in file order.
        columns: our name -> the file's, for those of our columns that the files have.
        types: our name -> Arrow type, as text; `string` for all of a CSV.
    """

    format: str
    paths: tuple[Path, ...]
    header: tuple[str, ...]
    columns: Mapping[str, str]
    types: Mapping[str, str]


@dataclass(frozen=True)
class InputFiles:
    """All files of an ingest.

    Attributes:
        groups: together all files that are read, each in one group.
        left_aside: CSV files in a folder that has parquet too: parquet is read alone.
        num_rows: rows by the footers of the parquet files; None where a CSV is read.
    """

    groups: Sequence[FileGroup]
    left_aside: Sequence[Path]
    num_rows: int | None

    @property
    def columns(self) -> frozenset[str]:
        """Our columns that at least one file has."""
        return frozenset(name for group in self.groups for name in group.columns)


def find_input(config: IngestConfig) -> InputFiles:
    """The files of a biotrove or csv ingest, every header and footer read.

    Raises:
        BadInputError: no file, a file that cannot be read, or a column missing; the message names the file.
    """
    paths, left_aside = _find_files(config.input)
    forms: dict[tuple, list[Path]] = {}
    num_rows = 0
    for path in paths:
        file_format = _format_of(path)
        header, types, rows = _parquet_form(path) if file_format == "parquet" else (*csv_form(path), 0)
        num_rows += rows
        forms.setdefault((file_format, header, types), []).append(path)
    groups = [_group(config, form, files) for form, files in forms.items()]
    all_parquet = all(group.format == "parquet" for group in groups)
    return InputFiles(groups, left_aside, num_rows if all_parquet else None)


def csv_form(path: Path, delimiter: str = ",") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The header of a (gzip) text file and a type per column.

    Raises:
        BadInputError: it cannot be read, is empty, or names a column twice.
    """
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    try:
        with _open_text(path) as file:
            header = tuple(next(csv.reader(file, delimiter=delimiter, quoting=quoting), ()))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: cannot be read as CSV: {error}") from error
    if not header:
        raise BadInputError(f"{path}: is empty; a header line with column names is needed")
    _check_unique(path, header)
    return header, ("string",) * len(header)


def _open_text(path: Path) -> TextIO:
    """The file opened for reading; a byte order mark is no part of its text."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig"))
    return path.open(encoding="utf-8-sig")


def _find_files(path: Path) -> tuple[list[Path], list[Path]]:
    if not path.exists():
        raise BadInputError(f"--input {path}: no such file or folder")
    if path.is_file():
        if _format_of(path) is None:
            raise BadInputError(f"--input {path}: give a {', '.join(SUFFIXES)} file or a folder of them")
        return [path.absolute()], []
    found = [file.absolute() for file in sorted(path.rglob("*")) if file.is_file() and _is_visible(file, path)]
    parquet = [file for file in found if _format_of(file) == "parquet"]
    texts = [file for file in found if _format_of(file) == "csv"]
    if not parquet and not texts:
        raise BadInputError(f"--input {path}: the folder has no {', '.join(SUFFIXES)} file")
    return (parquet, texts) if parquet else (texts, [])


def _is_visible(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _format_of(path: Path) -> str | None:
    name = path.name.lower()
    return next((file_format for suffix, file_format in SUFFIXES.items() if name.endswith(suffix)), None)


def _parquet_form(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    try:
        with pq.ParquetFile(path) as file:
            schema, num_rows = file.schema_arrow, file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise BadInputError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from error
    _check_unique(path, schema.names)
    return tuple(schema.names), tuple(str(kind) for kind in schema.types), num_rows


def _check_unique(path: Path, header: Sequence[str]) -> None:
    if twice := sorted({name for name in header if list(header).count(name) > 1}):
        raise BadInputError(f"{path}: column {', '.join(twice)} appears more than once")


def _group(config: IngestConfig, form: tuple, paths: list[Path]) -> FileGroup:
    file_format, header, types = form
    names = {**SOURCE_COLUMNS, **config.column_map}
    columns = {ours: theirs for ours, theirs in names.items() if theirs in header}
    missing = [names[ours] for ours in _required(config) if ours not in columns]
    if missing:
        hint = "; --columns ours=theirs tells other names" if config.source == "csv" else ""
        raise BadInputError(f"{paths[0]}: column {', '.join(missing)} is missing (it has {', '.join(header)}){hint}")
    kinds = dict(zip(header, types, strict=True))
    return FileGroup(
        file_format, tuple(paths), header, columns, {ours: kinds[theirs] for ours, theirs in columns.items()}
    )


def _required(config: IngestConfig) -> list[str]:
    """Ours that every file must have: BioTrove's eleven, or the least that names a species and what --columns names."""
    if config.source == "biotrove":
        return [name for name in SOURCE_COLUMNS if name not in OPTIONAL_COLUMNS]
    return [name for name in SOURCE_COLUMNS if name in CSV_REQUIRED or name in config.column_map]
