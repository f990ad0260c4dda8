"""Source rows as the selection oracle sees them: read batch by batch, every value cleaned, lineages as numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bench.xxh64 import xxh64

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
TEXTS = ("scientificName", *RANKS, "common_name", "photo_url")
MISSING = {"", "nan", "none", "null", "n/a", "unknown"}
URL_FORM = r"^(https?://[^/\s]+|/)"
BATCH_ROWS = 250_000

Lineage = tuple[str | None, ...]


def clean(value: str | None) -> str | None:
    """The value without outer and double spaces, None where it means missing."""
    text = re.sub(r"\s+", " ", value or "").strip()
    return None if text.lower() in MISSING else text


def source_files(folder: Path) -> list[Path]:
    """The parquet files of a folder, or its CSV files where it has none, by name.

    Raises:
        FileNotFoundError: neither is there.
    """
    files = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"{folder} holds neither parquet nor CSV files")
    return files


def read_batches(path: Path) -> Iterator[pa.Table]:
    """photo_id (int64) and TEXTS (strings) of a file. Empty CSV fields are null."""
    columns = ["photo_id", *TEXTS]
    if path.suffix == ".parquet":
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])
        return
    types = {name: pa.string() for name in TEXTS} | {"photo_id": pa.int64()}
    options = pa_csv.ConvertOptions(
        column_types=types, include_columns=columns, null_values=[""], strings_can_be_null=True
    )
    with pa_csv.open_csv(path, convert_options=options) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def reject_reasons(batch: pa.Table) -> np.ndarray:
    """Per row why it cannot be used, in the order no_photo_id, no_url, bad_url, no_taxon; None where it can."""
    urls = _cleaned(batch["photo_url"])
    missing_url = pd.isna(urls)
    form = pc.call_function("match_substring_regex", [pa.array(urls, pa.string())], pc.MatchSubstringOptions(URL_FORM))
    bad_url = ~form.fill_null(False).to_numpy(zero_copy_only=False)
    known = np.zeros(batch.num_rows, dtype=bool)
    for rank in RANKS:
        known |= ~pd.isna(_cleaned(batch[rank]))
    no_id = batch["photo_id"].is_null().to_numpy()
    reasons = np.full(batch.num_rows, None, dtype=object)
    for mask, reason in ((~known, "no_taxon"), (bad_url, "bad_url"), (missing_url, "no_url"), (no_id, "no_photo_id")):
        reasons[mask] = reason
    return reasons


@dataclass
class Lineages:
    """Numbers for distinct cleaned lineages, in order of first appearance."""

    number: dict[Lineage, int] = field(default_factory=dict)

    def codes(self, batch: pa.Table) -> np.ndarray:
        """The number of each row's lineage (int64), new ones added."""
        frame = pd.DataFrame({rank: _cleaned(batch[rank]) for rank in RANKS})
        groups = frame.groupby(list(RANKS), sort=False, dropna=False).ngroup().to_numpy()
        _, first = np.unique(groups, return_index=True)
        distinct = frame.iloc[first].astype(object).where(frame.iloc[first].notna(), None)
        numbers = [self.number.setdefault(one, len(self.number)) for one in distinct.itertuples(index=False, name=None)]
        return np.array(numbers, dtype=np.int64)[groups]

    def taxa(self) -> pd.DataFrame:
        """Per lineage, by number: its taxon's rank and key (kingdom, genus, epithet; or kingdom, name) and category."""
        identities = [_identity(lineage) for lineage in self.number]
        columns = {
            "rank": [rank for rank, _ in identities],
            "key": [key for _, key in identities],
            "category": [_category(lineage) for lineage in self.number],
            "lineage": list(self.number),
        }
        return pd.DataFrame(columns)


def taxon_id(lineage: Lineage) -> int:
    """The signed 64-bit id of a cleaned lineage's taxon. Source: docs/design.md, Identity."""
    rank, key = _identity(lineage)
    hashed = xxh64("|".join((rank, *key)).encode(), seed=42)
    return hashed - (1 << 64) if hashed >> 63 else hashed


def _cleaned(column: pa.ChunkedArray) -> np.ndarray:
    """The cleaned values of a text column, each distinct one cleaned once."""
    encoded = column.combine_chunks().dictionary_encode()
    values = np.array([clean(value) for value in encoded.dictionary.to_pylist()] + [None], dtype=object)
    return values[encoded.indices.fill_null(len(values) - 1).to_numpy()]


def _identity(lineage: Lineage) -> tuple[str, tuple[str, ...]]:
    """The rank and key of a cleaned lineage; a species needs kingdom, genus and epithet."""
    names: dict[str, str | None] = dict(zip(RANKS, lineage, strict=True))
    parts = ("kingdom", "genus", "species")
    if all(names[part] for part in parts):
        return "species", tuple(_folded(names[part]) for part in parts)
    rank = next((one for one in RANKS[-2::-1] if names[one]), "none")
    return rank, (_folded(names["kingdom"]), _folded(names.get(rank)))


def _folded(name: str | None) -> str:
    return unicodedata.normalize("NFC", name or "").lower()


def _category(lineage: Lineage) -> str:
    kingdom, phylum, klass = lineage[:3]
    if klass in ("Aves", "Arachnida", "Insecta", "Reptilia"):
        return klass
    if kingdom in ("Plantae", "Fungi"):
        return kingdom
    return "Mollusca" if phylum == "Mollusca" else "other"
