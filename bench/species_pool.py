"""The species that generated metadata is made of, in order of popularity.

Real lineages come from `$TAXAFLOW_SHARED/data/taxa/species_lineage_common_names.parquet`; where the file is absent or
too small, the missing ones are invented. Both are functions of the seed alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.scatter import Ints, mix64, salt_of

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
POOL_COLUMNS = ("scientificName", *RANKS, "common_name")
OTHER_SHARE = (28, 100)
"""Share of species, and so of photos, outside the seven categories. Source: BioTrove, 28 % of 5 M generated rows."""
FLATTEN = 16
"""Added to a popularity rank: the top species gets about 0.75 % of the photos, BioTrove's about 0.35 %."""
ACCENT_EVERY = 199
"""Odd, so that accents fall inside and outside the categories."""
IN_CATEGORY = (
    ("Plantae", "Tracheophyta", "Magnoliopsida"),
    ("Animalia", "Arthropoda", "Insecta"),
    ("Plantae", "Tracheophyta", "Liliopsida"),
    ("Animalia", "Arthropoda", "Insecta"),
    ("Animalia", "Chordata", "Aves"),
    ("Fungi", "Basidiomycota", "Agaricomycetes"),
    ("Animalia", "Chordata", "Reptilia"),
    ("Animalia", "Arthropoda", "Arachnida"),
    ("Animalia", "Mollusca", "Gastropoda"),
)
OUT_OF_CATEGORY = (
    ("Animalia", "Chordata", "Actinopterygii"),
    ("Animalia", "Chordata", "Mammalia"),
    ("Animalia", "Chordata", "Amphibia"),
    ("Animalia", "Arthropoda", "Malacostraca"),
    ("Chromista", "Ochrophyta", "Phaeophyceae"),
)
SYLLABLES = ("ba", "cor", "di", "fel", "gra", "he", "lin", "mo", "nu", "pha", "ri", "so", "te", "vul", "xa", "zy")
EPITHETS = (
    "viridis", "gracilis", "elongata", "giganteus", "vulgaris", "vittatus", "radiata", "mitrata", "alba",
    "niger", "rubra", "flavus", "minor", "major", "montanus", "palustris", "maritima", "sylvestris", "arvensis",
    "officinalis", "orientalis", "occidentalis", "borealis", "australis", "europaea", "americana", "japonica",
    "canadensis", "pennsylvanica", "x-notata", "punctatus", "maculata", "lineatus", "striata", "nitidus",
    "hirsuta", "glabra", "spinosus", "tenuis", "robustus", "pallida", "obscurus", "elegans", "formosa",
    "mirabilis", "rarus", "communis", "nana",
)  # fmt: skip
ACCENTS = {"e": "ë", "o": "ö", "u": "ü", "a": "ä", "i": "ï"}


class PoolError(ValueError):
    """The species asked for cannot be had."""


@dataclass(frozen=True)
class SpeciesPool:
    """Species in order of popularity, the most photographed first."""

    species: pa.Table
    """POOL_COLUMNS as strings, no nulls; species is the epithet, NFC, its genus, kingdom and epithet unique."""
    num_real: int
    """How many have a real lineage."""

    @property
    def size(self) -> int:
        """The number of species."""
        return self.species.num_rows

    def weights_so_far(self) -> Ints:
        """Cumulative integer weights (int64, 1-based ranks), Zipf with exponent 1 and a flattened head."""
        return np.cumsum((1 << 30) // (np.arange(self.size, dtype=np.int64) + FLATTEN))

    def counts_so_far(self, num_rows: int) -> Ints:
        """Cumulative photos per species; the last is num_rows, which lies below 2**29."""
        weights = self.weights_so_far().astype(np.uint64)
        return (weights * np.uint64(num_rows) // weights[-1]).astype(np.int64)

    def accented(self) -> Ints:
        """Indices of the species whose epithet holds a letter with a diaeresis."""
        return np.arange(min(7, self.size - 1), self.size, ACCENT_EVERY)

    def out_of_category(self) -> np.ndarray:
        """True per species outside the seven categories."""
        return _other_places(self.size)


def shared_lineages() -> Path:
    """Where the real lineages lie: below TAXAFLOW_SHARED, by default ../shared beside the project."""
    shared = os.environ.get("TAXAFLOW_SHARED", str(Path(__file__).parents[2] / "shared"))
    return Path(shared) / "data" / "taxa" / "species_lineage_common_names.parquet"


def load_pool(num_species: int, seed: int, lineages: str = "auto") -> SpeciesPool:
    """num_species species for a seed.

    Args:
        num_species: at least 2.
        seed: chooses and orders the species.
        lineages: `auto` takes real ones as far as they reach, `real` insists on them, `invented` uses none.

    Raises:
        PoolError: too few species asked for, or `real` without enough real ones.
    """
    if num_species < 2:
        raise PoolError(f"--species {num_species}: at least 2 are needed")
    other = _other_places(num_species)
    real = None if lineages == "invented" else _read_real()
    if lineages == "real" and real is None:
        raise PoolError(f"--lineages real: {shared_lineages()} does not exist; use --lineages invented")
    columns: dict[str, np.ndarray] = {name: np.empty(num_species, dtype=object) for name in POOL_COLUMNS}
    num_real = 0
    for outside in (False, True):
        places = np.flatnonzero(other == outside)
        chosen, taken = _choose(real, outside, places.size, seed)
        num_real += taken
        for name in POOL_COLUMNS:
            columns[name][places] = chosen[name]
    if lineages == "real" and num_real < num_species:
        raise PoolError(f"--lineages real: only {num_real} of {num_species} species are real; ask for fewer")
    _accent(columns)
    return SpeciesPool(pa.table({name: pa.array(columns[name], pa.string()) for name in POOL_COLUMNS}), num_real)


def _other_places(num_species: int) -> np.ndarray:
    """Spreads the species outside the categories evenly over the popularity ranks."""
    part, whole = OTHER_SHARE
    steps = np.arange(num_species + 1) * part // whole
    return np.diff(steps) > 0


def _read_real() -> dict[str, np.ndarray] | None:
    """Columns of the real lineages, or None where the file is absent."""
    path = shared_lineages()
    if not path.is_file():
        return None
    table = pq.read_table(path, columns=list(POOL_COLUMNS))
    columns = {name: table[name].to_numpy() for name in POOL_COLUMNS}
    columns["scientificName"] = columns["genus"] + " " + columns["species"]
    return columns


def _choose(
    real: dict[str, np.ndarray] | None, outside: bool, wanted: int, seed: int
) -> tuple[dict[str, np.ndarray], int]:
    """Species in or outside the categories, real ones first, then invented, and how many of them are real."""
    invented = _invent(outside, wanted)
    if real is None:
        order = np.argsort(mix64(np.arange(wanted), salt_of(seed, "invented")), kind="stable")
        return {name: invented[name][order] for name in POOL_COLUMNS}, 0
    group = np.flatnonzero(_outside(real) == outside)
    group = group[np.argsort(mix64(group, salt_of(seed, "real")), kind="stable")][:wanted]
    missing = wanted - group.size
    joined = {name: np.concatenate([real[name][group], invented[name][:missing]]) for name in POOL_COLUMNS}
    return joined, int(group.size)


def _outside(columns: dict[str, np.ndarray]) -> np.ndarray:
    """True per species that is in none of the seven categories."""
    inside = np.isin(columns["class"].astype(str), ["Aves", "Arachnida", "Insecta", "Reptilia"])
    inside |= np.isin(columns["kingdom"].astype(str), ["Plantae", "Fungi"]) | (columns["phylum"] == "Mollusca")
    return ~inside


def _invent(outside: bool, wanted: int) -> dict[str, np.ndarray]:
    """Species of four per genus, six genera per family, five families per order; epithets recur across genera."""
    templates = OUT_OF_CATEGORY if outside else IN_CATEGORY
    columns: dict[str, list[str]] = {name: [] for name in POOL_COLUMNS}
    for index in range(wanted):
        genus_index = index // 4
        family_index, order_index = genus_index // 6, genus_index // 30
        upper = templates[order_index % len(templates)]
        genus = _word(genus_index, "us" if outside else "a")
        epithet = EPITHETS[(genus_index * 7 + index % 4) % len(EPITHETS)]
        endings = ("iformes", "idae") if outside else ("ales", "aceae")
        lower = (_word(order_index, endings[0]), _word(family_index, endings[1]), genus, epithet)
        common = f"{epithet.title()} {genus}"
        for name, value in zip(POOL_COLUMNS, (f"{genus} {epithet}", *upper, *lower, common), strict=True):
            columns[name].append(value)
    return {name: np.array(values, dtype=object) for name, values in columns.items()}


def _word(number: int, ending: str) -> str:
    """A capitalised invented name, different for every number under one ending."""
    syllables = [SYLLABLES[number % 16], SYLLABLES[number // 16 % 16]]
    while number >= 256:
        number //= 16
        syllables.append(SYLLABLES[number // 16 % 16])
    return "".join(reversed(syllables)).capitalize() + ending


def _accent(columns: dict[str, np.ndarray]) -> None:
    """Puts a diaeresis into some epithets, so that composed and decomposed spellings of one species exist."""
    size = columns["species"].size
    for index in range(min(7, size - 1), size, ACCENT_EVERY):
        epithet = columns["species"][index]
        letter = next((one for one in ACCENTS if one in epithet), None)
        accented = epithet.replace(letter, ACCENTS[letter], 1) if letter else f"{epithet}ë"
        columns["species"][index] = accented
        columns["scientificName"][index] = f"{columns['genus'][index]} {accented}"
