"""What an ingest of generated iNaturalist tables must find, row by row and as counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.inaturalist_rows import EXTRA_KINDS, Month, Photos
from bench.inaturalist_taxa import TaxonTree
from bench.scatter import Ints

REASONS = ("no_observation", "not_research_grade", "no_taxon")
CHANGES = ("new", "relabelled", "withdrawn", "relicensed")


@dataclass(frozen=True)
class PhotoTruth:
    """Per row of photos.csv."""

    taxa: Ints
    """The node of its taxon, negative where it has none."""
    reasons: np.ndarray
    """Why it is rejected under `--quality research`; None: accepted."""
    above_species: np.ndarray
    """True where the taxon is known to a rank above species only; hybrids count among them."""


class TruthRows:
    """The file behind `--truth-rows`; writes nothing where the path is None."""

    def __init__(self, path: Path | None, tree: TaxonTree) -> None:
        """Nothing is opened before the first row."""
        self._path = path
        self._taxa = tree.truth() if path is not None else None
        self._writer: pq.ParquetWriter | None = None

    def add(self, month: Month, photos: Photos, truth: PhotoTruth) -> None:
        """Appends a row per photo row: names and ranks are null where it has no taxon."""
        if self._path is None or self._taxa is None:
            return
        nodes = pa.array(truth.taxa, mask=truth.taxa < 0)
        kinds = np.array([*EXTRA_KINDS, None], dtype=object)[photos.extra]
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            "month": pa.array(np.full(photos.slots.size, month.number)),
            "photo_id": pa.array(month.photo_ids(photos.slots)),
            "extra": pa.array(kinds, pa.string()),
            "reason": pa.array(truth.reasons, pa.string()),
            "license": pa.array(month.licenses(photos.slots), pa.string()),
            "observation_uuid": month.observation_uuids(photos),
        }
        columns |= {name: self._taxa[name].take(nodes) for name in self._taxa.column_names}
        table = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)

    def __enter__(self) -> TruthRows:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()


def photo_truth(month: Month, photos: Photos) -> PhotoTruth:
    """The truth of each photo row."""
    observations = month.observation_of(photos.slots)
    taxa = np.where(photos.is_companion, month.companion_taxa(photos.slots), month.taxa(observations))
    reasons = month.reasons(observations)
    reasons[photos.is_companion] = None
    ranks = np.array([rank for rank, _ in month.tree.node])
    return PhotoTruth(taxa, reasons, (taxa >= 0) & ~np.isin(ranks[taxa], ["species", "subspecies"]))


def tally_rows(photos: Photos, truth: PhotoTruth) -> Counter[str]:
    """Counts of rows, accepted photos, photos above species rank, rejects by reason and second rows by kind."""
    accepted = pd.isna(truth.reasons) & (photos.extra < 0)
    tally = Counter({"rows": photos.slots.size, "photos": int(accepted.sum())})
    tally["above_species_rank"] = int((accepted & truth.above_species).sum())
    tally.update(reason for reason in truth.reasons if reason is not None)
    tally.update(EXTRA_KINDS[kind] for kind in photos.extra if kind >= 0)
    return tally


def tally_changes(month: Month, start: int, stop: int) -> Counter[str]:
    """Counts of the accepted photos [start, stop) that differ from the month before, once for each way they differ."""
    if month.number == 1:
        return Counter()
    before = replace(month, number=month.number - 1)
    slots = np.arange(start, stop)
    observations = month.observation_of(slots)
    accepted = pd.isna(month.reasons(observations))
    was, now = accepted & before.present(slots), accepted & month.present(slots)
    both = was & now
    changed = {
        "new": now & (slots >= before.num_slots),
        "relabelled": both & (before.taxa(observations) != month.taxa(observations)),
        "withdrawn": was & ~now,
        "relicensed": both & (before.licenses(slots) != month.licenses(slots)),
    }
    return Counter({name: int(mask.sum()) for name, mask in changed.items()})


def month_counts(month: Month, tally: Counter[str]) -> dict[str, object]:
    """The counts of one month in the form of the truth file; `changes` is empty in month 1."""
    return {
        "month": month.number,
        "rows": tally["rows"],
        "photos": tally["photos"],
        "second_rows": {kind: tally[kind] for kind in EXTRA_KINDS},
        "rejects": {reason: tally[reason] for reason in REASONS},
        "above_species_rank": tally["above_species_rank"],
        "changes": {name: tally[name] for name in CHANGES} if month.number > 1 else {},
    }
