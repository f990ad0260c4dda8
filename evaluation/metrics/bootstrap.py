"""Intervals by drawing again: pictures within their classes, or whole classes.

Shapes: N pictures, C classes, B draws made at once, M figures.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (percentile intervals).
"""

from collections.abc import Callable, Iterator

import numpy as np

from evaluation.metrics.intervals import Metric, finite_or_none

DRAWS = 1000
"""Draws of an interval."""

MIN_CLUSTERS = 100
"""Classes needed before they are drawn again: with 9 or 10, such 95 % intervals cover 89-91 %. Source: simulation."""

_AT_ONCE = 2_000_000
"""Picture numbers in memory at a time: 16 MB."""


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], class_N: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> list[Metric]:
    """The M figures with 95 % percentile intervals, every class keeping its number of pictures in every draw.

    An interval is widened to hold its value where the figure is biased, as a calibration error is. A class with one
    picture adds nothing to the width.

    Args:
        statistic: picture numbers, int64 [B, N] -> figures, float64 [B, M]; all M share their draws.
        class_N: int64, class of each picture.
        draws: how often; the memory does not depend on it. 0 leaves low and high None.
        seed: of the draws; neither the memory nor the machine changes them.
    """
    if len(class_N) == 0:
        raise AssertionError("no pictures to draw from")
    value_M = statistic(np.arange(len(class_N))[None])[0]
    if draws == 0:
        return [Metric(finite_or_none(value), None, None) for value in value_M]
    drawn_DM = np.concatenate([statistic(index_BN) for index_BN in _draws_within_classes(class_N, draws, seed)])
    return [_percentiles(value, drawn_D) for value, drawn_D in zip(value_M, drawn_DM.T, strict=True)]


def _draws_within_classes(class_N: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Picture numbers [B, N] at a time, `draws` rows in all; position by position of the class as in `class_N`."""
    order_N = np.argsort(class_N, kind="stable")
    _, start_C, size_C = np.unique(class_N[order_N], return_index=True, return_counts=True)
    start_N, size_N = np.repeat(start_C, size_C), np.repeat(size_C, size_C)
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // len(class_N))
    for done in range(0, draws, at_once):
        place_BN = rng.random((min(at_once, draws - done), len(class_N))) * size_N
        yield order_N[start_N + place_BN.astype(np.int64)]


def sums_by_group(group_BN: np.ndarray, num_groups: int, weight_BN: np.ndarray | None = None) -> np.ndarray:
    """[B, groups], per draw and group of pictures the sum of their weights, float64; without weights their int64 count.

    Args:
        group_BN: int64, each picture's group.
        num_groups: groups are 0 to this less 1.
        weight_BN: float64.
    """
    num_draws = len(group_BN)
    place_BN = group_BN + num_groups * np.arange(num_draws)[:, None]
    weights = None if weight_BN is None else weight_BN.ravel()
    return np.bincount(place_BN.ravel(), weights, num_draws * num_groups).reshape(num_draws, num_groups)


def cluster_bootstrap(right_C: np.ndarray, shown_C: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Metric | None:
    """Share of right pictures with the 95 % interval that other species would give: whole classes are drawn again.

    None where fewer than 100 classes have pictures, too few to stand for others, and without draws.

    Args:
        right_C: int64, right pictures per class.
        shown_C: int64, pictures per class.
        draws: how often.
        seed: of the draws.
    """
    right_C, shown_C = right_C[shown_C > 0], shown_C[shown_C > 0]
    if len(shown_C) < MIN_CLUSTERS or draws == 0:
        return None
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // len(shown_C))
    shares = []
    for done in range(0, draws, at_once):
        index_BC = rng.integers(len(shown_C), size=(min(at_once, draws - done), len(shown_C)))
        shares.append(right_C[index_BC].sum(1) / shown_C[index_BC].sum(1))
    return _percentiles(right_C.sum() / shown_C.sum(), np.concatenate(shares))


def _percentiles(value: float, drawn_D: np.ndarray) -> Metric:
    """The value with the middle 95 % of the draws; None for what is not a number."""
    low, high = np.percentile(drawn_D, [2.5, 97.5])
    return Metric(finite_or_none(value), finite_or_none(min(low, value)), finite_or_none(max(high, value)))
