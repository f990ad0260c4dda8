"""The rows of a prediction's output: one per picture and guess, with the taxon spelt out."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from inference.labels.labels import Labels
from inference.labels.lineage_groups import Groups
from inference.predict.guess import LABEL, Guess
from taxonomy.ranks import RANKS

TEXT, WHOLE, REAL = "text", "whole number", "number"

COLUMNS: Mapping[str, str] = {
    "picture": TEXT,
    "guess": WHOLE,
    "taxon": TEXT,
    "rank": TEXT,
    "probability": REAL,
    "cosine": REAL,
    "common_name": TEXT,
    **dict.fromkeys(RANKS, TEXT),
    "reason": TEXT,
}
"""Column -> what it holds. `guess` counts from 1; `species` is the epithet; `reason` says why there is no guess."""

Row = tuple[str | int | float | None, ...]

_NOTHING: Row = (None,) * (len(COLUMNS) - 2)


class Rows:
    """Turns guesses into rows; what was spelt out lately is remembered."""

    def __init__(self, labels: Labels, groups: Mapping[str, Groups]):
        self._labels, self._groups = labels, groups
        self._spelt = lru_cache(maxsize=65536)(self._spell_out)
        self._size_of = lru_cache(maxsize=None)(self._sizes)

    def guessed(self, key: str, guesses: Sequence[Guess]) -> Iterator[Row]:
        """A row per guess, in their order."""
        for number, one in enumerate(guesses, 1):
            taxon, common, path = self._spelt(one.rank, one.number)
            yield (key, number, taxon, one.rank, one.probability, one.cosine, common, *path, None)

    @staticmethod
    def without_guess(key: str, reason: str) -> Row:
        """The row of a picture without a guess."""
        return (key, *_NOTHING, reason)

    def _spell_out(self, rank: str, number: int) -> tuple[str, str | None, tuple[str | None, ...]]:
        """(name, common name, the lineage down to it)."""
        labels = self._labels
        if rank == LABEL:
            return labels.names[number].as_py(), labels.common_name(number), labels.path(number)
        first = int(self._groups[rank].first_G[number])
        depth = RANKS.index(rank) + 1
        path = labels.path(first)[:depth]
        name = f"{path[-2]} {path[-1]}" if rank == "species" else path[-1]
        assert name is not None
        common = labels.common_name(first) if rank == "species" and self._is_label(name, first, number) else None
        return name, common, path + (None,) * (len(RANKS) - depth)

    def _is_label(self, species: str, label: int, number: int) -> bool:
        """Whether the first label of a species is the species: not one of several, nor a subspecies of it."""
        name, species = self._labels.names[label].as_py().casefold(), species.casefold()
        is_part = name.startswith(f"{species} ")
        return name == species or (self._size_of("species")[number] == 1 and not is_part)

    def _sizes(self, rank: str) -> np.ndarray:
        """Labels of every taxon of a rank."""
        groups = self._groups[rank]
        return np.bincount(groups.code_C[groups.code_C >= 0], minlength=len(groups.first_G))
