"""`--dataset-type csv`: a table of picture paths and captions, one pair per row."""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from taxonomy.errors import BadInputError
from taxonomy.ranks import clean
from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings
from trainer.data.batch_maker import Label
from trainer.data.caption_choice import ONLY_TEXT, CaptionPolicy
from trainer.data.draws import hash_text
from trainer.data.order import Order, Split
from trainer.data.sampled_data import SampledData

ROWS_PER_SHARD = 1000
"""Rows that the order keeps together as if they were a shard (trainer/data/order.py)."""

TAXON_COLUMN = "taxon_id"
_PATHS_CHECKED = 100


def open_csv(
    settings: DataSettings,
    table: Path,
    split: str,
    rank: int,
    num_ranks: int,
    position: Mapping[str, object] | None,
) -> SampledData:
    """A table as a training set; the caption policy does not apply, since a row has one text.

    Args:
        settings: how rows become batches; csv_image_column, csv_caption_column and csv_separator say what is where.
        table: UTF-8, with a header; picture paths are relative to its folder. A column taxon_id is used if there.
        split: only a name; a table is one split.
        rank: of this process.
        num_ranks: processes that share each step.
        position: see SampledData.

    Raises:
        BadInputError: the table cannot be read, lacks a column, is too small, or its first pictures are all missing.
    """
    settings = replace(settings, caption=CaptionPolicy.fixed(ONLY_TEXT))
    source = CsvSource(table, settings)
    full, rest = divmod(len(source), ROWS_PER_SHARD)
    order = Order([ROWS_PER_SHARD] * full + [rest] * (rest > 0), settings.seed)
    content = hashlib.sha256(table.read_bytes()).hexdigest()
    dealt = Split(order, rank, num_ranks, settings.accum_freq, settings.batch_size, content)
    source.check_paths()
    return SampledData(source, dealt, settings, position)


class CsvSource:
    """The rows of a table: trainer.data.batch_maker.ItemSource.

    Raises:
        BadInputError: the table cannot be read, lacks a column or has no rows.
    """

    def __init__(self, table: Path, settings: DataSettings) -> None:
        self._table = table
        self._settings = settings
        paths, captions, taxa = self._columns()
        self._paths, self._captions = PackedTexts(paths), PackedTexts(captions)
        self._taxa = np.array(taxa, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._taxa)

    def picture(self, item: int) -> bytes:
        """The content of the row's file."""
        try:
            return self._path(item).read_bytes()
        except OSError as error:
            raise BadSample("missing_image") from error

    def label(self, item: int) -> Label:
        """The row's caption, and its taxon: of the column taxon_id, else a hash of the caption."""
        text = clean(self._captions[item])
        if text is None:
            raise BadSample("no_caption")
        return Label({ONLY_TEXT: text}, int(self._taxa[item]))

    def check_paths(self) -> None:
        """See that some of the first pictures are there.

        Raises:
            BadInputError: none is.
        """
        first = range(min(_PATHS_CHECKED, len(self)))
        if not any(self._path(item).is_file() for item in first):
            raise BadInputError(
                f"--csv-img-key {self._settings.csv_image_column}: none of the first {len(first)} pictures is there; "
                f"the first would be {self._path(0)} (paths are relative to the table's folder)"
            )

    def _path(self, item: int) -> Path:
        return self._table.parent / self._paths[item]

    def _columns(self) -> tuple[list[str], list[str], list[int]]:
        paths, captions, taxa = [], [], []
        image, caption = self._settings.csv_image_column, self._settings.csv_caption_column
        try:
            with self._table.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, delimiter=self._settings.csv_separator)
                self._check_header(rows.fieldnames or [])
                for row in rows:
                    paths.append(row[image] or "")
                    captions.append(row[caption] or "")
                    taxa.append(_taxon(row.get(TAXON_COLUMN), captions[-1]))
        except OSError as error:
            raise BadInputError(f"--train-data {self._table}: {error.strerror}") from error
        except (csv.Error, ValueError, TypeError) as error:  # TypeError: a separator of several characters
            raise BadInputError(f"--train-data {self._table} is no UTF-8 table: {error}") from error
        if not paths:
            raise BadInputError(f"--train-data {self._table} has no rows")
        return paths, captions, taxa

    def _check_header(self, names: Iterable[str]) -> None:
        wanted = {
            "--csv-img-key": self._settings.csv_image_column,
            "--csv-caption-key": self._settings.csv_caption_column,
        }
        names = list(names)
        for flag, name in wanted.items():
            if name not in names:
                raise BadInputError(
                    f"{flag}: {self._table} has no column {name!r}, it has {', '.join(map(repr, names)) or 'none'} "
                    f"(split at --csv-separator {self._settings.csv_separator!r})"
                )


class PackedTexts:
    """Many texts in two blocks of memory, which forked workers share; a list's reference counts would copy it."""

    def __init__(self, texts: list[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._ends = np.cumsum([0] + [len(text) for text in encoded])
        self._bytes = b"".join(encoded)

    def __getitem__(self, number: int) -> str:
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode()


def _taxon(value: str | None, caption: str) -> int:
    """The taxon_id, or a hash of what stands in its column where that is no number; without it, of the caption."""
    if not value:
        return hash_text(caption)
    try:
        return int(np.int64(int(value)))
    except (ValueError, OverflowError):
        return hash_text(value)
