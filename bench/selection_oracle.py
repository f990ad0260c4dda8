"""What a correct selection must keep, from the source files alone: pandas, no Spark, none of the pipeline's code.

A photo is one photo_id. A species is kingdom + genus + epithet without regard to case, spaces and the composition of
letters. Every photo has one fate: the first of out_of_category, above_species_rank, rare_species, over_cap, or kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bench.oracle_rows import RANKS, TEXTS, Lineages, clean, read_batches, reject_reasons, taxon_id

SEVEN = ("Aves", "Arachnida", "Insecta", "Plantae", "Fungi", "Mollusca", "Reptilia")
REASONS = ("out_of_category", "above_species_rank", "rare_species", "over_cap")


@dataclass(frozen=True)
class Rule:
    """Thresholds of a selection; both count photos of a species and are inclusive."""

    min_photos: int = 30
    max_photos: int = 50_000
    categories: tuple[str, ...] = SEVEN


@dataclass(frozen=True)
class Selection:
    """What a rule keeps."""

    species: pd.DataFrame
    """Per taxon, in the order of Oracle.taxa: num_photos, kept, reason (why all or some are left out, else None)."""
    excluded: dict[str, int]
    """Photos per reason."""
    num_kept: int


@dataclass(frozen=True)
class Oracle:
    """All photos of a source."""

    photo_ids: np.ndarray
    """Distinct accepted ids, ascending, int64."""
    taxon: np.ndarray
    """The row in taxa of each photo."""
    taxa: pd.DataFrame
    """rank, key and category of each taxon; the category is that of its most frequent lineage."""
    counts: dict[str, int]
    """rows, photos, duplicates, conflicts, and rejects by reason; rows is the sum of the others."""

    def select(self, rule: Rule) -> Selection:
        """The photos a rule keeps, per taxon, and how many it leaves out for which reason."""
        num_photos = np.bincount(self.taxon, minlength=len(self.taxa))
        outside = ~self.taxa["category"].isin(rule.categories).to_numpy()
        above = (self.taxa["rank"] != "species").to_numpy()
        rare = num_photos < rule.min_photos
        excluded_whole = outside | above | rare
        kept = np.where(excluded_whole, 0, np.minimum(num_photos, rule.max_photos))
        reason = np.select(
            [outside, above, rare, kept < num_photos], list(REASONS), default=np.array(None, dtype=object)
        )
        species = self.taxa.assign(num_photos=num_photos, kept=kept, reason=reason)
        left_out = (species["num_photos"] - species["kept"]).groupby(species["reason"]).sum()
        excluded = {name: int(left_out.get(name, 0)) for name in REASONS}
        return Selection(species, excluded, int(kept.sum()))

    def count_wrong(self, selection: Selection, kept_ids: np.ndarray) -> int:
        """How many taxa have another number of kept photos than the selection says.

        An id kept twice counts twice; ids the oracle does not know make one wrong taxon together.
        """
        place = np.searchsorted(self.photo_ids, kept_ids)
        known = place < self.photo_ids.size
        known[known] = self.photo_ids[place[known]] == kept_ids[known]
        found = np.bincount(self.taxon[place[known]], minlength=len(self.taxa))
        return int((found != selection.species["kept"].to_numpy()).sum()) + int(not known.all())


def build_oracle(files: Sequence[Path]) -> Oracle:
    """Reads BioTrove-shaped parquet or CSV files. Of rows that share an id but differ, `pick_row` chooses one."""
    lineages = Lineages()
    ids, codes, tally = [], [], Counter[str]()
    for batch in (batch for path in files for batch in read_batches(path)):
        reasons = reject_reasons(batch)
        accepted = pd.isna(reasons)
        tally.update(reasons[~accepted].tolist())
        tally["rows"] += batch.num_rows
        usable = batch.filter(pa.array(accepted))
        ids.append(usable["photo_id"].to_numpy())
        codes.append(lineages.codes(usable))
    photo_ids, first, num_rows = np.unique(np.concatenate(ids), return_index=True, return_counts=True)
    lineage = np.concatenate(codes)[first]
    repeated = photo_ids[num_rows > 1]
    if repeated.size:
        chosen, tally["duplicates"], tally["conflicts"] = _settle(files, repeated, lineages)
        lineage[np.searchsorted(photo_ids, repeated)] = chosen
    tally["photos"] = photo_ids.size
    taxa, taxon_of = _group_taxa(lineages.taxa(), np.bincount(lineage, minlength=len(lineages.number)))
    return Oracle(photo_ids, taxon_of[lineage], taxa, dict(tally))


def pick_row(rows: list[tuple[str | None, ...]]) -> tuple[str | None, ...]:
    """The row (cleaned TEXTS) that stands for a photo whose rows differ: the smallest in the order of photos' columns.

    There taxon_id comes before the names; among rows of one taxon missing comes first, then byte order.
    """
    return min(
        rows, key=lambda row: (taxon_id(_lineage(row)), *(("" if text is None else text).encode() for text in row))
    )


def _lineage(row: tuple[str | None, ...]) -> tuple[str | None, ...]:
    start = TEXTS.index(RANKS[0])
    return row[start : start + len(RANKS)]


def _settle(files: Sequence[Path], repeated: np.ndarray, lineages: Lineages) -> tuple[np.ndarray, int, int]:
    """Per repeated id (ascending) the lineage number of its row; then the numbers of duplicates and of conflicts."""
    rows: dict[int, list[tuple[str | None, ...]]] = {int(number): [] for number in repeated}
    wanted = pa.array(repeated)
    for batch in (batch for path in files for batch in read_batches(path)):
        some = batch.filter(pc.call_function("is_in", [batch["photo_id"]], pc.SetLookupOptions(wanted)))
        some = some.filter(pa.array(pd.isna(reject_reasons(some))))
        texts = [[clean(value) for value in some[name].to_pylist()] for name in TEXTS]
        for number, *values in zip(some["photo_id"].to_pylist(), *texts, strict=True):
            rows[number].append(tuple(values))
    chosen, duplicates, conflicts = [], 0, 0
    for number in repeated:
        found = rows[int(number)]
        distinct = list(dict.fromkeys(found))
        duplicates += len(found) - len(distinct)
        conflicts += len(distinct) - 1
        chosen.append(lineages.number[_lineage(pick_row(distinct))])
    return np.array(chosen), duplicates, conflicts


def _group_taxa(lineages: pd.DataFrame, num_photos: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The taxa and, per lineage, its taxon's row; the most frequent lineage gives the category."""
    frame = lineages.assign(num_photos=num_photos)
    frame["bytes"] = [tuple((name or "").encode() for name in lineage) for lineage in frame["lineage"]]
    frame["taxon"] = frame.groupby(["rank", "key"], sort=False).ngroup()
    best = frame.sort_values(["taxon", "num_photos", "bytes"], ascending=[True, False, True]).drop_duplicates("taxon")
    taxa = pd.DataFrame({name: best[name].to_numpy() for name in ("rank", "key", "category")})
    return taxa, frame["taxon"].to_numpy()
