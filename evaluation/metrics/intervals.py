"""Confidence intervals of accuracies over a fixed class list, the pictures being the sample. No torch.

Source: docs/design.md, Intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

Z95 = 1.96
"""The normal distribution's 97.5 % point: two-sided 95 %."""


@dataclass(frozen=True)
class Metric:
    """A share in [0, 1] with its 95 % interval; all None where there was nothing to count."""

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able copy."""
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING = Metric(None, None, None)
"""The metric of no pictures."""


def accuracy(right: Sequence[int], shown: Sequence[int]) -> Metric:
    """Share of right pictures, each counting once, stratified by class.

    With p = (x + 1/2) / (n + 1) per class and v = p (1 - p): half width z sqrt(sum n v) / sum n.

    Args:
        right: per class, the number of its pictures that were right.
        shown: per class, the number of its pictures.
    """
    total = sum(shown)
    if total == 0:
        return NOTHING
    spread = sum(n * _variance(x, n) for x, n in zip(right, shown, strict=True))
    return _around(sum(right) / total, Z95 * sqrt(spread) / total)


def balanced_accuracy(right: Sequence[int], shown: Sequence[int]) -> Metric:
    """Mean over the classes with pictures of their shares of right ones: half width z sqrt(sum v / n) / classes.

    Args:
        right: per class, the number of its pictures that were right.
        shown: per class, the number of its pictures.
    """
    pairs = [(x, n) for x, n in zip(right, shown, strict=True) if n > 0]
    if not pairs:
        return NOTHING
    spread = sum(_variance(x, n) / n for x, n in pairs)
    return _around(sum(x / n for x, n in pairs) / len(pairs), Z95 * sqrt(spread) / len(pairs))


def wilson(right: int, shown: int) -> Metric:
    """Share of right pictures with Wilson's score interval, which knows no classes: for comparison with papers.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22.
    """
    if shown == 0:
        return NOTHING
    share, z2 = right / shown, Z95 * Z95
    centre = (share + z2 / (2 * shown)) / (1 + z2 / shown)
    half = Z95 / (1 + z2 / shown) * sqrt(share * (1 - share) / shown + z2 / (4 * shown * shown))
    return Metric(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def _variance(right: int, shown: int) -> float:
    """Of one picture of a class, its share shrunk towards one half: few pictures never look certain."""
    share = (right + 0.5) / (shown + 1)
    return share * (1 - share)


def _around(value: float, half: float) -> Metric:
    return Metric(value, max(0.0, value - half), min(1.0, value + half))
