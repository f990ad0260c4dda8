"""The numbers behind the page of `count`: the long tail, the histogram, the thresholds and the taxonomy.

All functions are pure and take the rows of species_counts, as a frame or its num_photos (int64, each at least 1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from taxonomy.ranks import RANKS

COMMON_THRESHOLDS = (25, 50, 75, 100, 200, 500, 1000)
"""Photos per species that people ask about. Source: the table of BioTrove's histogram figure."""

LISTED_SPECIES = 60_000
"""Species that the page lists one by one; it keeps the page below 8 MB."""

_TAIL_POINTS = 160
_INNER_RANKS = RANKS[:-1]


@dataclass(frozen=True)
class Kept:
    """What one threshold keeps.

    Attributes:
        threshold: photos per species.
        species: species with at least so many photos.
        photos: photos of these species.
        capped_photos: photos of all species if at most so many of each are kept.
    """

    threshold: int
    species: int
    photos: int
    capped_photos: int


def kept_by(num_photos: np.ndarray, thresholds: Iterable[int]) -> list[Kept]:
    """What each threshold keeps, smallest threshold first, each once."""
    rows = []
    for threshold in sorted(set(thresholds)):
        frequent = num_photos[num_photos >= threshold]
        capped = np.minimum(num_photos, threshold)
        rows.append(Kept(threshold, int(frequent.size), int(frequent.sum()), int(capped.sum())))
    return rows


def species_with_half(num_photos: np.ndarray) -> int:
    """The smallest number of species that together have at least half of the photos; 0 where there is none."""
    totals = np.cumsum(np.sort(num_photos)[::-1])
    return int(np.searchsorted(totals * 2, totals[-1])) + 1 if totals.size else 0


def histogram(num_photos: np.ndarray) -> list[list[int]]:
    """[first, last, species] of each 1-2-5 step of photos per species, both ends inclusive, up to the largest."""
    if not num_photos.size:
        return []
    largest = int(num_photos.max())
    starts = [step * 10**power for power in range(len(str(largest)) + 1) for step in (1, 2, 5)]
    starts = starts[: int(np.searchsorted(starts, largest, side="right")) + 1]
    heights, _ = np.histogram(num_photos, bins=starts)
    return [[start, end - 1, int(height)] for start, end, height in zip(starts, starts[1:], heights, strict=False)]


def rank_abundance(species: pd.DataFrame) -> dict[str, list[list[int]]]:
    """Category -> [place, photos] from the most photographed species to the last, thinned evenly on a log axis.

    Args:
        species: category and num_photos.
    """
    return {
        str(category): _thinned(np.sort(group.to_numpy())[::-1])
        for category, group in species.groupby("category", sort=True)["num_photos"]
    }


def _thinned(num_photos: np.ndarray) -> list[list[int]]:
    places = np.unique(np.geomspace(1, num_photos.size, _TAIL_POINTS).round().astype(int))
    return [[int(place), int(num_photos[place - 1])] for place in places]


def frequencies(species: pd.DataFrame) -> dict[str, list[list[int]]]:
    """Category -> [photos, species that have exactly so many], fewest photos first: all that a threshold needs.

    Args:
        species: category and num_photos.
    """
    found = {}
    for category, group in species.groupby("category", sort=True)["num_photos"]:
        values, numbers = np.unique(group.to_numpy(), return_counts=True)
        found[str(category)] = [[int(value), int(number)] for value, number in zip(values, numbers, strict=True)]
    return found


class _Nodes:
    """The inner nodes of the taxonomy as columns; a node's parent comes before it, node 0 is the root."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {
            "name": ["All species"],
            "rank": [-1],
            "parent": [-1],
            "photos": [0],
            "species": [0],
        }
        self._children: dict[tuple[int, int, str], int] = {}

    def path(self, lineage: tuple[str | None, ...], add: bool) -> list[int]:
        """The nodes from the root to the deepest rank of a lineage; where not `add`, to the deepest that is there."""
        nodes = [0]
        for rank, name in enumerate(lineage):
            if name is None:
                continue
            child = self._children.get((nodes[-1], rank, name))
            if child is None:
                if not add:
                    break
                child = self._add(nodes[-1], rank, name)
            nodes.append(child)
        return nodes

    def _add(self, parent: int, rank: int, name: str) -> int:
        node = len(self.columns["name"])
        self._children[parent, rank, name] = node
        for column, value in (("name", name), ("rank", rank), ("parent", parent), ("photos", 0), ("species", 0)):
            self.columns[column].append(value)
        return node


def taxonomy_tree(species: pd.DataFrame, categories: list[str], limit: int) -> dict[str, Any]:
    """The taxonomy as columns of numbers and names, ready for JSON: `nodes` (kingdom to genus) and `leaves` (species).

    The `limit` species with the most photos are leaves, under their own genus or, where a rank is unknown, under the
    next one known. All others only add to the totals of those of their ancestors that are there, so that the size is
    bounded and every total is right.

    Args:
        species: the rows of species_counts; missing texts are None.
        categories: their order, for the leaves' category numbers.
        limit: how many species to list.
    """
    ordered = species.sort_values(["num_photos", "taxon_id"], ascending=[False, True], kind="stable")
    nodes = _Nodes()
    photos_of, species_of = nodes.columns["photos"], nodes.columns["species"]
    parents: list[int] = []
    lineages = zip(*(ordered[rank] for rank in _INNER_RANKS), strict=True)
    for place, (lineage, num_photos) in enumerate(zip(lineages, ordered["num_photos"].tolist(), strict=True)):
        path = nodes.path(lineage, add=place < limit)
        if place < limit:
            parents.append(path[-1])
        for node in path:
            photos_of[node] += num_photos
            species_of[node] += 1
    listed = ordered.head(limit)
    leaves = {
        "parent": parents,
        "epithet": listed["species"].tolist(),
        "common": [name or "" for name in listed["common_name"]],
        "category": [categories.index(category) for category in listed["category"]],
        "photos": listed["num_photos"].tolist(),
        "groups": listed["num_groups"].tolist(),
        "place": listed["place"].tolist(),
    }
    return {"nodes": nodes.columns, "leaves": leaves}
