"""A label list's file as columns of text, cleaned and checked; a million rows without an object for each. No torch.

Shapes: C labels.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from inference.labels.arrow import compute as pc
from taxonomy.errors import BadInputError
from taxonomy.ranks import MISSING_WORDS, clean

Columns = Mapping[str, Sequence[str]]
"""What a column is for -> the names it may have, in order of preference."""

_NO_DELIMITER = "\x1f"
"""Stands in no name: a text file of names is a table of one column."""

_UNUSUAL = rf"(?i)[^\x21-\x7e ]|  |^ | $|^(?:{'|'.join(map(re.escape, sorted(MISSING_WORDS)))})?$"
"""Texts that cleaning may change; all others are left alone."""


def read_columns(path: Path, wanted: Columns, lone: str) -> dict[str, pa.StringArray]:
    """The columns that the file has of those wanted, as text, null where nothing stands.

    Args:
        path: .txt (one name a line), .csv or .parquet.
        wanted: columns.
        lone: what the lines of a text file are.

    Raises:
        BadInputError: it cannot be read, is damaged, empty, or of another kind.
    """
    readers = {".txt": _read_text, ".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInputError(f"{path}: a list is a {', '.join(readers)} file")
    try:
        found = reader(path, wanted, lone)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise BadInputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    if not found or not len(next(iter(found.values()))):
        raise BadInputError(f"{path}: an empty list; at least one name is needed")
    return found


def _read_text(path: Path, wanted: Columns, lone: str) -> dict[str, pa.StringArray]:
    if not path.stat().st_size:
        return {}
    table = pa_csv.read_csv(
        path,
        pa_csv.ReadOptions(column_names=[lone]),
        pa_csv.ParseOptions(delimiter=_NO_DELIMITER, quote_char=False, ignore_empty_lines=False),
        _as_text([lone]),
    )
    return {lone: table[lone].combine_chunks()}


def _read_csv(path: Path, wanted: Columns, lone: str) -> dict[str, pa.StringArray]:
    header = _header(path)
    if not header:
        return {}
    chosen = _chosen(path, wanted, header)
    table = pa_csv.read_csv(
        path,
        pa_csv.ReadOptions(column_names=header, skip_rows=1),
        pa_csv.ParseOptions(newlines_in_values=True),
        _as_text(list(chosen.values())),
    )
    return {name: table[column].combine_chunks() for name, column in chosen.items()}


def _read_parquet(path: Path, wanted: Columns, lone: str) -> dict[str, pa.StringArray]:
    file = pq.ParquetFile(path)
    header = file.schema_arrow.names
    chosen = _chosen(path, wanted, header)
    table = file.read(columns=list(dict.fromkeys(chosen.values())))
    return {name: _text_of(path, column, table[column]) for name, column in chosen.items()}


def _text_of(path: Path, name: str, column: pa.ChunkedArray) -> pa.StringArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise BadInputError(f"{path}: column {name} holds {column.type}; text is needed")
    made = column.cast(pa.string()).combine_chunks()
    return made if isinstance(made, pa.StringArray) else pa.array([], pa.string())


def _as_text(columns: list[str]) -> pa_csv.ConvertOptions:
    kinds = dict.fromkeys(columns, pa.string())
    return pa_csv.ConvertOptions(column_types=kinds, include_columns=columns, strings_can_be_null=False)


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        first = file.readline()
    try:
        return next(csv.reader(io.StringIO(first.decode("utf-8-sig"))), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: its first line is no header of a UTF-8 CSV") from error


def _chosen(path: Path, wanted: Columns, header: Sequence[str]) -> dict[str, str]:
    """What a column is for -> the column, of those that are there, at least one."""
    for name in header:
        if header.count(name) > 1 and any(name in names for names in wanted.values()):
            raise BadInputError(f"{path}: column {name} stands in the header twice; rename one")
    found = {use: next((name for name in names if name in header), None) for use, names in wanted.items()}
    chosen = {use: name for use, name in found.items() if name is not None}
    if not chosen:
        raise BadInputError(no_column(path, next(iter(wanted.values())), header))
    return chosen


def no_column(path: Path, candidates: Sequence[str], header: Sequence[str]) -> str:
    """Why a table is refused that has none of the candidates as a column."""
    known = ", ".join(name or "(unnamed)" for name in header[:20]) or "none"
    return f"{path}: no column {' or '.join(candidates)}; the columns are {known}"


def cleaned(column: pa.StringArray) -> pa.StringArray:
    """The texts as `taxonomy.ranks.clean` has them, NFC; null where they mean missing."""
    is_unusual = pc.match_substring_regex(column, _UNUSUAL).fill_null(False)
    if not pc.any(is_unusual).as_py():
        return column
    own = column.filter(is_unusual).dictionary_encode()
    texts = [clean(unicodedata.normalize("NFC", text)) for text in own.dictionary.to_pylist()]
    replaced = pc.replace_with_mask(column, is_unusual, pa.array(texts, pa.string()).take(own.indices))
    return replaced


def cleaned_codes(column: pa.StringArray) -> pa.DictionaryArray:
    """As cleaned, with every distinct text once: for columns with few of them."""
    codes = column.dictionary_encode()
    return cleaned(codes.dictionary).take(codes.indices).dictionary_encode()
