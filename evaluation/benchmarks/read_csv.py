"""A CSV file as named columns of text, or one line that says what is wrong with it."""

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class Table:
    """A CSV's content.

    Attributes:
        path: the file.
        columns: name -> text per row, NFC, in the order of the file.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def find(self, candidates: Sequence[str]) -> str | None:
        """The first of the candidates that is a column; None where none is."""
        return next((name for name in candidates if name in self.columns), None)

    def column(self, candidates: Sequence[str], what: str) -> Sequence[str]:
        """The text of the first of the candidates that is a column.

        Args:
            candidates: names in order of preference.
            what: the column's meaning, for the message.

        Raises:
            BadInputError: none of them is a column.
        """
        name = self.find(candidates)
        if name is None:
            raise BadInputError(
                f"{self.path}: no column for the {what}: {' or '.join(candidates)} is needed; "
                f"the columns are {', '.join(column or '(unnamed)' for column in self.columns)}"
            )
        return self.columns[name]


def find_csv(names: Sequence[str], folder: Path) -> Path:
    """The first of the names that is a file of the folder.

    Raises:
        BadInputError: none is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BadInputError(f"{folder}: none of {', '.join(names)} is there; give the CSV's path")


def read_csv(path: Path) -> Table:
    """The table of a UTF-8 file, with or without a byte order mark; text as in the file but for NFC.

    Raises:
        BadInputError: it cannot be read or is no CSV, has no rows, a column name twice, or a row of another length.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(path, header)
        rows = [_checked(path, row, len(header), reader.line_num) for row in reader if row]
    except csv.Error as error:
        raise BadInputError(f"{path}, line {reader.line_num}: not a CSV: {error}") from error
    if not rows:
        raise BadInputError(f"{path}: no rows below the header; a benchmark needs one per picture")
    return Table(path, dict(zip(header, zip(*rows, strict=True), strict=True)))


def _text(path: Path) -> str:
    try:
        return unicodedata.normalize("NFC", path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}; give a CSV file with one row per picture") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start:,}; save it as UTF-8") from error


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BadInputError(f"{path}: column {twice[0] or '(unnamed)'} stands in the header twice; rename one")


def _checked(path: Path, row: list[str], length: int, line: int) -> list[str]:
    if len(row) != length:
        raise BadInputError(f"{path}, line {line}: {len(row)} fields, but the header has {length}")
    return row
