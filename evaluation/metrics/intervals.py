"""Confidence intervals of accuracies over a fixed class list, the pictures being the sample. No torch.

Shapes: C classes; ... any number of replicates.

Source: docs/design.md, Intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

Z95 = 1.96
"""The normal distribution's 97.5 % point: two-sided 95 %."""


@dataclass(frozen=True)
class Metric:
    """A figure, most often a share in [0, 1], with its 95 % interval; all None where there was nothing to count."""

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able copy."""
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING = Metric(None, None, None)
"""The metric of no pictures."""


def finite_or_none(value: float) -> float | None:
    """The value as Python's float, None where it is not finite: JSON knows no NaN."""
    return float(value) if isfinite(value) else None


def accuracy(right: Sequence[int] | np.ndarray, shown: Sequence[int] | np.ndarray) -> Metric:
    """Share of right pictures, each counting once, stratified by class.

    Args:
        right: per class, the number of its pictures that were right.
        shown: per class, the number of its pictures.
    """
    right_C, shown_C = np.asarray(right, np.int64), np.asarray(shown, np.int64)
    total = int(shown_C.sum())
    if total == 0:
        return NOTHING
    return _around(int(right_C.sum()) / total, float(accuracy_half_width(right_C, shown_C)))


def accuracy_half_width(right_C: np.ndarray, shown_C: np.ndarray) -> np.ndarray:
    """Half the width [...] of the interval of the share of right pictures, before it is cut to [0, 1].

    With p = (x + 1/2) / (n + 1) per class and v = p (1 - p): z sqrt(sum n v) / sum n.

    Args:
        right_C: int [..., C].
        shown_C: int [..., C], at least one picture in all.
    """
    return Z95 * np.sqrt((shown_C * _variance(right_C, shown_C)).sum(-1)) / shown_C.sum(-1)


def balanced_accuracy(right: Sequence[int] | np.ndarray, shown: Sequence[int] | np.ndarray) -> Metric:
    """Mean over the classes with pictures of their shares of right ones.

    Args:
        right: per class, the number of its pictures that were right.
        shown: per class, the number of its pictures.
    """
    right_C, shown_C = np.asarray(right, np.int64), np.asarray(shown, np.int64)
    is_shown_C = shown_C > 0
    if not is_shown_C.any():
        return NOTHING
    right_C, shown_C = right_C[is_shown_C], shown_C[is_shown_C]
    return _around(float((right_C / shown_C).mean()), float(balanced_half_width(right_C, shown_C)))


def balanced_half_width(right_C: np.ndarray, shown_C: np.ndarray) -> np.ndarray:
    """Half the width [...] of the interval of the mean share, before it is cut to [0, 1]: z sqrt(sum v / n) / classes.

    Args:
        right_C: int [..., C].
        shown_C: int [..., C], at least one picture of every class.
    """
    return Z95 * np.sqrt((_variance(right_C, shown_C) / shown_C).sum(-1)) / shown_C.shape[-1]


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


def _variance(right_C: np.ndarray, shown_C: np.ndarray) -> np.ndarray:
    """Variance of one picture of a class, its share shrunk towards one half: few pictures never look certain."""
    share_C = (right_C + 0.5) / (shown_C + 1)
    return share_C * (1 - share_C)


def _around(value: float, half: float) -> Metric:
    return Metric(value, max(0.0, value - half), min(1.0, value + half))
