"""Rows in the form of BioTrove's published metadata, any range of them on its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.dirt import KINDS, REJECTS, DirtPlan, spoil
from bench.scatter import Ints, Permutation, below, salt_of
from bench.species_pool import POOL_COLUMNS, SpeciesPool

COLUMNS = ("photo_id", *POOL_COLUMNS, "photo_url")
"""The eleven columns, in published order. Source: the sample in BioTrove's repository."""
URL_HEAD = "http://inaturalist-open-data.s3.amazonaws.com/photos/"
EXTENSIONS = ("jpg",) * 71 + ("JPG",) * 28 + ("png",)
ID_LIMIT = 1 << 28
"""Photo ids lie in [1, ID_LIMIT) as in the sample (113 to 268,633,382), higher only for more rows."""


@dataclass(frozen=True)
class BioTroveRows:
    """num_rows rows of one seed. Row i is the same whatever is made before or beside it."""

    pool: SpeciesPool
    num_rows: int
    seed: int
    dirty: float = 0.0
    """Share of dirty rows, 0 to 0.5."""
    num_columns: int = 11
    """11, or 12 with taxonRank before photo_url."""

    def __post_init__(self) -> None:
        """Raises: ValueError where a number makes no sense."""
        if not 1 <= self.num_rows < 1 << 29:
            raise ValueError(f"--rows {self.num_rows}: allowed are 1 to {(1 << 29) - 1}")
        if not 0 <= self.dirty <= 0.5:
            raise ValueError(f"--dirty {self.dirty}: allowed are shares from 0 to 0.5")
        if self.num_columns not in (11, 12):
            raise ValueError(f"--columns {self.num_columns}: BioTrove has files of 11 and of 12 columns")

    @cached_property
    def plan(self) -> DirtPlan:
        """Which rows are dirty."""
        return DirtPlan(self.num_rows, int(self.num_rows * self.dirty))

    @cached_property
    def schema(self) -> pa.Schema:
        """Column names and types of every block."""
        names: list[str] = list(COLUMNS)
        if self.num_columns == 12:
            names.insert(-1, "taxonRank")
        return pa.schema([(name, pa.int64() if name == "photo_id" else pa.string()) for name in names])

    def block(self, start: int, stop: int) -> pa.Table:
        """Rows [start, stop) of the shuffled order."""
        slots = self._order(np.arange(start, stop))
        is_dirty = slots >= self.plan.num_clean
        if not is_dirty.any():
            return self._clean_rows(slots, self._species(slots))
        clean, dirty = slots[~is_dirty], slots[is_dirty]
        rows = pa.concat_tables([self._clean_rows(clean, self._species(clean)), self._dirty_rows(dirty)])
        place = np.empty(slots.size, dtype=np.int64)
        place[~is_dirty] = np.arange(clean.size)
        place[is_dirty] = clean.size + np.arange(dirty.size)
        return rows.take(pa.array(place))

    def truth(self) -> dict[str, object]:
        """What ingest must find: counts of rows, photos, duplicates, conflicts and rejects by reason."""
        plan = self.plan
        rejects = {reason: plan.count(kind) for kind, reason in REJECTS.items()}
        duplicates, conflicts = plan.count("duplicate"), plan.count("conflict")
        return {
            "rows": self.num_rows,
            "photos": self.num_rows - duplicates - conflicts - sum(rejects.values()),
            "duplicates": duplicates,
            "conflicts": conflicts,
            "rejects": rejects,
            "above_species_rank": plan.count("genus_only"),
            "dirty": {kind: plan.count(kind) for kind in KINDS},
            "species": self.pool.size,
            "real_species": self.pool.num_real,
            "seed": self.seed,
        }

    @cached_property
    def _order(self) -> Permutation:
        """Row in the files -> slot."""
        return Permutation(self.num_rows, salt_of(self.seed, "row order"))

    @cached_property
    def _ids(self) -> Permutation:
        """Slot -> photo id - 1."""
        return Permutation(max(ID_LIMIT - 1, 2 * self.num_rows), salt_of(self.seed, "photo id"))

    @cached_property
    def _partners(self) -> Permutation:
        """Turn of a duplicate or conflict -> the clean slot it repeats."""
        return Permutation(max(1, self.plan.num_clean), salt_of(self.seed, "partner"))

    @cached_property
    def _ends(self) -> Ints:
        """Cumulative clean rows per species."""
        return self.pool.counts_so_far(self.plan.num_clean)

    def _species(self, clean_slots: Ints) -> Ints:
        return np.searchsorted(self._ends, clean_slots, side="right")

    def _dirty_species(self, slots: Ints, kinds: Ints, partners: Ints) -> Ints:
        """Popular species get more dirt too; decomposed spellings need an accent, a conflict another species."""
        chosen = self._species(below(slots, salt_of(self.seed, "dirty species"), self.plan.num_clean))
        accented = self.pool.accented()
        letters = accented[below(slots, salt_of(self.seed, "accent"), accented.size)]
        chosen = np.where(kinds == KINDS.index("decomposed"), letters, chosen)
        same = self._species(partners)
        away = 1 + below(slots, salt_of(self.seed, "conflict"), self.pool.size - 1)
        chosen = np.where(kinds == KINDS.index("duplicate"), same, chosen)
        return np.where(kinds == KINDS.index("conflict"), (same + away) % self.pool.size, chosen)

    def _dirty_rows(self, slots: Ints) -> pa.Table:
        kinds = self.plan.kind(slots)
        repeats = (kinds == KINDS.index("duplicate")) | (kinds == KINDS.index("conflict"))
        partners = np.zeros(slots.size, dtype=np.int64)
        partners[repeats] = self._partners(self.plan.partner(slots[repeats]))
        species = self._dirty_species(slots, kinds, partners)
        ranks = pa.array(np.array(["species", "genus", "subspecies", None], dtype=object))
        rank = np.zeros(slots.size, dtype=np.int64)
        for number, kind in enumerate(("genus_only", "trinomial", "no_taxon"), start=1):
            rank[kinds == KINDS.index(kind)] = number
        rows = self._clean_rows(np.where(repeats, partners, slots), species, ranks.take(pa.array(rank)))
        return spoil(rows, kinds)

    def _clean_rows(self, slots: Ints, species: Ints, taxon_rank: pa.Array | None = None) -> pa.Table:
        """One row per slot, of the given species."""
        ids = pa.array(self._ids(slots) + 1)
        index = pa.array(species)
        columns = {name: self.pool.species[name].combine_chunks().take(index) for name in POOL_COLUMNS}
        extension = below(slots, salt_of(self.seed, "extension"), len(EXTENSIONS))
        tails = pa.array([f"/medium.{one}" for one in EXTENSIONS]).take(pa.array(extension))
        columns["photo_id"] = ids
        head, empty = pa.scalar(URL_HEAD), pa.scalar("")
        columns["photo_url"] = pc.call_function("binary_join_element_wise", [head, ids.cast(pa.string()), tails, empty])
        if self.num_columns == 12:
            columns["taxonRank"] = taxon_rank if taxon_rank is not None else pa.repeat("species", slots.size)
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)
