"""Photos and observations of one generated iNaturalist month, any range of them on its own.

Month 1 has the photos asked for. Each later month adds 3 % new ones, withdraws 1 %, relabels 1 % and changes the
licence of 0.5 % of those of month 1; all stays as it became.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.inaturalist_taxa import TaxonTree, choose_taxa
from bench.scatter import Ints, Permutation, below, salt_of
from bench.tsv import uuids

NEW, RELABELLED, WITHDRAWN, RELICENSED = 30, 10, 10, 5
"""Changes of each later month per 1,000 photos of month 1."""
OBSERVATION_OF = np.array([0, 1, 2, 3, 3, 4, 4, 4])
"""Eight photos belong to five observations: three have one photo, one has two, one three."""
POSITION_OF = np.array([0, 0, 0, 0, 1, 0, 1, 2])
LICENSES = np.array(
    ["CC-BY-NC"] * 70 + ["CC-BY"] * 12 + ["CC0"] * 8 + ["CC-BY-NC-SA"] * 4 + ["CC-BY-SA"] * 3
    + ["CC-BY-NC-ND"] * 2 + ["CC-BY-ND"],
    dtype=object,
)  # fmt: skip
EXTENSIONS = np.array(["jpg"] * 80 + ["jpeg"] * 16 + ["JPG"] + ["png"] * 2 + ["gif"], dtype=object)
QUALITIES = np.array(["research"] * 65 + ["needs_id"] * 25 + ["casual"] * 10, dtype=object)
EXTRA_KINDS = ("duplicate", "same_taxon", "other_taxon")
"""A second row of a photo: the same row again, or the photo on a second observation of the same or of another taxon."""
NO_TAXON_ID, UNKNOWN_TAXON_ID = -1, -2


@dataclass(frozen=True)
class Photos:
    """Rows of photos.csv. A second observation of a photo is a companion: its key is the slot, not an observation."""

    slots: Ints
    extra: Ints
    """-1, or the index in EXTRA_KINDS."""

    @property
    def is_companion(self) -> np.ndarray:
        """True where the row hangs on the photo's second observation."""
        return self.extra > 0


@dataclass(frozen=True)
class Month:
    """One month of a generated iNaturalist. Photos are named by slot: 0, 1, ... in order of first appearance."""

    tree: TaxonTree
    num_first: int
    """Photos of month 1."""
    seed: int
    number: int
    """From 1."""
    num_months: int
    """How many months are made in all: photos that change in any of them have no second row."""

    @property
    def num_slots(self) -> int:
        """Photos ever seen up to this month."""
        return self.num_first + self.num_first * NEW * (self.number - 1) // 1000

    @property
    def num_observations(self) -> int:
        """Observations that the photos seen so far belong to."""
        return int(self.observation_of(np.array([self.num_slots - 1]))[0]) + 1

    @property
    def num_observers(self) -> int:
        """People; it stays the same in all months."""
        return max(10, self.num_first // 40)

    def photos(self, start: int, stop: int) -> Photos:
        """The rows of the photos [start, stop) that are present, second rows last."""
        slots = np.arange(start, stop)
        present = slots[self.present(slots)]
        doubled, kinds = self.second_rows(present)
        extra = np.concatenate([np.full(present.size, -1), kinds])
        return Photos(np.concatenate([present, doubled]), extra)

    def present(self, slots: Ints) -> np.ndarray:
        """True for the photos that this month's photos table holds."""
        return (slots < self.num_slots) & ~self._before(slots, "withdrawn", WITHDRAWN, self.number)

    def second_rows(self, slots: Ints) -> tuple[Ints, Ints]:
        """Which photos have a second row, and its kind: 0.3 % of those that ingest takes and that never change."""
        share = below(slots, self._salt("second row"), 1000)
        chosen = slots[share < 3]
        steady = ~self._before(chosen, "withdrawn", WITHDRAWN, self.num_months)
        steady &= ~self._before(chosen, "relicensed", RELICENSED, self.num_months)
        observations = self.observation_of(chosen)
        steady &= ~self._before(observations, "relabelled", RELABELLED, self.num_months)
        steady &= pd.isna(self.reasons(observations))
        chosen = chosen[steady]
        return chosen, below(chosen, self._salt("second kind"), len(EXTRA_KINDS))

    def observation_of(self, slots: Ints) -> Ints:
        """The observation of each photo."""
        return slots // 8 * 5 + OBSERVATION_OF[slots % 8]

    def photo_ids(self, slots: Ints) -> Ints:
        """photo_id of each photo, unique, in no order."""
        return self._ids(slots) + 1

    def licenses(self, slots: Ints) -> np.ndarray:
        """The licence of each photo in this month."""
        first = below(slots, self._salt("license"), LICENSES.size)
        changed = self._before(slots, "relicensed", RELICENSED, self.number)
        return np.where(changed, np.where(LICENSES[first] == "CC0", "CC-BY-NC", "CC0"), LICENSES[first])

    def extensions(self, slots: Ints) -> np.ndarray:
        """The file extension of each photo."""
        return EXTENSIONS[below(slots, self._salt("extension"), EXTENSIONS.size)]

    def species(self, observations: Ints) -> Ints:
        """The pool species of each observation, by Zipf's law, relabelled ones in their new place."""
        ends = self.tree.pool.weights_so_far()
        chosen = np.searchsorted(ends, below(observations, self._salt("species"), int(ends[-1])), side="right")
        changed = self._before(observations, "relabelled", RELABELLED, self.number)
        away = 1 + below(observations, self._salt("new label"), self.tree.pool.size - 1)
        return np.where(changed, (chosen + away) % self.tree.pool.size, chosen)

    def taxa(self, observations: Ints) -> Ints:
        """The tree node of each observation; NO_TAXON_ID or UNKNOWN_TAXON_ID for a few."""
        species = self.species(observations)
        nodes = choose_taxa(self.tree, species, observations)
        changed = self._before(observations, "relabelled", RELABELLED, self.number)
        nodes = np.where(changed, self.tree.places["species"][species], nodes)
        bad = self._share(observations, "no taxon")
        return np.select([bad == 0, bad == 1], [NO_TAXON_ID, UNKNOWN_TAXON_ID], nodes)

    def companion_taxa(self, slots: Ints) -> Ints:
        """The tree node of the second observation of each doubled photo."""
        kinds = below(slots, self._salt("second kind"), len(EXTRA_KINDS))
        observations = self.observation_of(slots)
        other = (self.species(observations) + 1) % self.tree.pool.size
        elsewhere = kinds == EXTRA_KINDS.index("other_taxon")
        return np.where(elsewhere, self.tree.places["species"][other], self.taxa(observations))

    def qualities(self, observations: Ints) -> np.ndarray:
        """research, needs_id or casual per observation; those without a usable taxon are research."""
        chosen = QUALITIES[below(observations, self._salt("quality"), QUALITIES.size)]
        return np.where(self._share(observations, "no taxon") < 2, "research", chosen)

    def missing(self, observations: Ints) -> np.ndarray:
        """True for observations that photos name and the observations table lacks (0.4 %)."""
        return self._share(observations, "missing") < 4

    def reasons(self, observations: Ints) -> np.ndarray:
        """Why ingest with research quality rejects the photos of each observation; None where it takes them."""
        return np.select(
            [
                self.missing(observations),
                self.qualities(observations) != "research",
                self._share(observations, "no taxon") < 2,
            ],
            ["no_observation", "not_research_grade", "no_taxon"],
            np.array(None, dtype=object),
        )

    def observation_uuids(self, photos: Photos) -> pa.Array:
        """observation_uuid per photo row."""
        keys = np.where(photos.is_companion, photos.slots + (1 << 40), self.observation_of(photos.slots))
        return uuids(keys, self._salt("observation uuid"))

    def photo_uuids(self, photos: Photos) -> pa.Array:
        """photo_uuid per photo row."""
        keys = np.where(photos.is_companion, photos.slots + (1 << 40), photos.slots)
        return uuids(keys, self._salt("photo uuid"))

    def own_uuids(self, keys: Ints) -> pa.Array:
        """observation_uuid per observation key (an observation, or a companion's slot + 2**40)."""
        return uuids(keys, self._salt("observation uuid"))

    def observer_ids(self, keys: Ints) -> Ints:
        """observer_id per observation key."""
        return 1 + below(keys, self._salt("observer"), self.num_observers)

    @cached_property
    def _ids(self) -> Permutation:
        return Permutation(max((1 << 28) - 1, 4 * self.num_first), self._salt("photo id"))

    def _salt(self, purpose: str) -> int:
        return salt_of(self.seed, f"inaturalist {purpose}")

    def _share(self, keys: Ints, purpose: str) -> Ints:
        return below(keys, self._salt(purpose), 1000)

    def _before(self, keys: Ints, change: str, per_mille: int, month: int) -> np.ndarray:
        """True for the photos (or observations) of month 1 that a change has met up to this month."""
        limit = self.num_first
        if change == "relabelled":
            limit = int(self.observation_of(np.array([self.num_first - 1]))[0]) + 1
        return (keys < limit) & (self._share(keys, change) < per_mille * (month - 1))
