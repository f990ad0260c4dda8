"""One figure for a model over several benchmarks, in the four ways that change the order of models.

The paper weights by classes, and 62 % of the weight is its one benchmark of species seen in training.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from evaluation.benchmarks.published_figures import PAPERS_EIGHT

BALANCED = "biotrove_balanced"
"""The benchmark of species seen in training."""


class Score(NamedTuple):
    """What a benchmark adds to an aggregate; top1 in any unit, None where it could not be computed."""

    top1: float | None
    num_classes: int
    num_images: int


@dataclass(frozen=True)
class Aggregate:
    """A weighted mean of top-1.

    Attributes:
        value: in the unit of the scores; None where a benchmark is missing.
        missing: names of benchmarks that it needs and that have no score.
    """

    value: float | None
    missing: tuple[str, ...]


def aggregates(scores: Mapping[str, Score]) -> dict[str, Aggregate]:
    """class_weighted (the paper's), unweighted, image_weighted and class_weighted_without_balanced.

    Args:
        scores: benchmark -> score; benchmarks beyond the paper's eight, as Confounding, are left out.
    """
    others = [name for name in PAPERS_EIGHT if name != BALANCED]
    return {
        "class_weighted": _mean(scores, PAPERS_EIGHT, lambda score: score.num_classes),
        "unweighted": _mean(scores, PAPERS_EIGHT, lambda score: 1),
        "image_weighted": _mean(scores, PAPERS_EIGHT, lambda score: score.num_images),
        "class_weighted_without_balanced": _mean(scores, others, lambda score: score.num_classes),
    }


def _mean(scores: Mapping[str, Score], names: Iterable[str], weight: Callable[[Score], int]) -> Aggregate:
    found = {name: scores[name] for name in names if name in scores and scores[name].top1 is not None}
    missing = tuple(name for name in names if name not in found)
    if missing:
        return Aggregate(None, missing)
    total = sum((score.top1 or 0) * weight(score) for score in found.values())
    return Aggregate(total / sum(weight(score) for score in found.values()), ())
