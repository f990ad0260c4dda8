"""Dirty rows: each kind of damage that real metadata shows, made on purpose and counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.scatter import Ints

KINDS = (
    "null_id",
    "no_url",
    "bad_url",
    "no_taxon",
    "missing_words",
    "blank_names",
    "genus_only",
    "null_common_name",
    "duplicate",
    "conflict",
    "decomposed",
    "spaces",
    "case",
    "trinomial",
)
REJECTS = {"null_id": "no_photo_id", "no_url": "no_url", "bad_url": "bad_url", "no_taxon": "no_taxon"}
"""Kinds that ingest must reject, with the reason."""
WORDS = ("nan", "None", "unknown", "N/A", "null")
BLANKS = ("", "  ")
BAD_URLS = ("see the website", "ftp://example.org/photo.jpg", "www.inaturalist.org/photos/1")
LINEAGE = ("kingdom", "phylum", "class", "order", "family", "genus", "species")

Frame = pd.DataFrame


@dataclass(frozen=True)
class DirtPlan:
    """Which of num_rows rows are dirty and how: the last `num_dirty` slots, the kinds in turn."""

    num_rows: int
    num_dirty: int

    @property
    def num_clean(self) -> int:
        """Rows without damage; they have the slots [0, num_clean)."""
        return self.num_rows - self.num_dirty

    def kind(self, slots: Ints) -> Ints:
        """The index in KINDS of each dirty slot."""
        return (slots - self.num_clean) % len(KINDS)

    def count(self, kind: str) -> int:
        """How many rows have this kind."""
        return (self.num_dirty - KINDS.index(kind) + len(KINDS) - 1) // len(KINDS)

    def partner(self, slots: Ints) -> Ints:
        """A number in [0, duplicates + conflicts), different for every duplicate and conflict slot."""
        turn = (slots - self.num_clean) // len(KINDS)
        return np.where(self.kind(slots) == KINDS.index("conflict"), turn + self.count("duplicate"), turn)


def spoil(rows: pa.Table, kinds: Ints) -> pa.Table:
    """The rows, each damaged by its kind; duplicate and conflict rows are left alone. Order and schema stay."""
    frame = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    for index, kind in enumerate(KINDS):
        places = np.flatnonzero(kinds == index)
        damage = _DAMAGE.get(kind)
        if damage is not None and places.size:
            part = frame.iloc[places].copy()
            damage(part)
            frame.iloc[places] = part
    return pa.Table.from_pandas(frame, schema=rows.schema, preserve_index=False)


def _turns(part: Frame, choices: tuple[str | None, ...]) -> np.ndarray:
    """One of the choices per row, chosen by the number in the row's URL so that it does not depend on the block."""
    numbers = part["photo_url"].str.extract(r"/photos/(\d+)/", expand=False).astype("int64").to_numpy()
    return np.array(choices, dtype=object)[numbers % len(choices)]


def _null_id(part: Frame) -> None:
    part["photo_id"] = pd.NA


def _no_url(part: Frame) -> None:
    part["photo_url"] = _turns(part, (None, *BLANKS))


def _bad_url(part: Frame) -> None:
    part["photo_url"] = _turns(part, BAD_URLS)


def _no_taxon(part: Frame) -> None:
    word = _turns(part, (None, "", "nan"))
    for column in ("scientificName", *LINEAGE, "common_name"):
        part[column] = word


def _missing_words(part: Frame) -> None:
    for column in ("order", "family", "common_name"):
        part[column] = _turns(part, WORDS)


def _blank_names(part: Frame) -> None:
    for column in ("order", "common_name"):
        part[column] = _turns(part, BLANKS)


def _genus_only(part: Frame) -> None:
    part["scientificName"] = part["genus"]
    part["species"] = _turns(part, (None, "", "nan", "Unknown"))


def _null_common_name(part: Frame) -> None:
    part["common_name"] = None


def _decomposed(part: Frame) -> None:
    for column in ("scientificName", "genus", "species", "common_name"):
        part[column] = [unicodedata.normalize("NFD", text) for text in part[column]]


def _spaces(part: Frame) -> None:
    part["scientificName"] = part["scientificName"].str.replace(" ", "  ", regex=False)
    part["kingdom"] = part["kingdom"] + " "
    part["family"] = " " + part["family"]
    part["genus"] = "  " + part["genus"]
    part["species"] = part["species"] + "  "


def _case(part: Frame) -> None:
    part["scientificName"] = part["scientificName"].str.upper()
    part["genus"] = part["genus"].str.upper()
    part["species"] = part["species"].str.title()


def _trinomial(part: Frame) -> None:
    part["scientificName"] = part["scientificName"] + " " + part["species"]


_DAMAGE: dict[str, Callable[[Frame], None]] = {
    "null_id": _null_id,
    "no_url": _no_url,
    "bad_url": _bad_url,
    "no_taxon": _no_taxon,
    "missing_words": _missing_words,
    "blank_names": _blank_names,
    "genus_only": _genus_only,
    "null_common_name": _null_common_name,
    "decomposed": _decomposed,
    "spaces": _spaces,
    "case": _case,
    "trinomial": _trinomial,
}
