"""Whether confidence can be trusted: calibration bins and error, and accuracy among the pictures not abstained from.

Shapes: N pictures, B draws, G bins.
"""

from typing import Any

import numpy as np

from evaluation.metrics.bootstrap import DRAWS, bootstrap, sums_by_group
from evaluation.metrics.intervals import NOTHING, Metric, finite_or_none

NUM_BINS = 15
"""Bins of equal width. Source: Guo et al. 2017, On Calibration of Modern Neural Networks."""

THRESHOLDS = (*(step / 20 for step in range(20)), 0.99)
"""Confidences below which the abstention curve keeps silent."""


def bin_of(confidence_N: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """int64 [N], the bin of each confidence; a bin holds its upper edge, the first one also 0."""
    return np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], confidence_N.astype(np.float64))


def calibration_bins(
    confidence_N: np.ndarray, is_right_N: np.ndarray, num_bins: int = NUM_BINS
) -> list[dict[str, Any]]:
    """One dict per bin, lowest first: low, high, n, and the mean confidence and accuracy, None where n is 0.

    Args:
        confidence_N: probability of the guess, in [0, 1].
        is_right_N: bool, whether it was right.
        num_bins: of equal width.
    """
    bin_N = bin_of(confidence_N, num_bins)
    count = np.bincount(bin_N, minlength=num_bins)
    trust = np.bincount(bin_N, confidence_N.astype(np.float64), num_bins)
    right = np.bincount(bin_N, is_right_N, num_bins)
    return [
        {
            "low": index / num_bins,
            "high": (index + 1) / num_bins,
            "n": int(n),
            "confidence": finite_or_none(trust[index] / n) if n else None,
            "accuracy": finite_or_none(right[index] / n) if n else None,
        }
        for index, n in enumerate(count)
    ]


def calibration_error(
    confidence_N: np.ndarray,
    is_right_N: np.ndarray,
    class_N: np.ndarray,
    num_bins: int = NUM_BINS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Metric:
    """Expected calibration error: mean distance of confidence and accuracy over the bins, weighted by their pictures.

    Few pictures look miscalibrated whatever the model, and draws again more so: read the lower end with that in mind.

    Args:
        confidence_N: probability of the guess, in [0, 1].
        is_right_N: bool, whether it was right.
        class_N: int64, the right class, whose pictures are drawn again.
        num_bins: of equal width.
        draws: of the interval.
        seed: of the draws.

    Source: Guo et al. 2017, equation 3.
    """
    if len(class_N) == 0:
        return NOTHING
    bin_N, gap_N = bin_of(confidence_N, num_bins), is_right_N - confidence_N.astype(np.float64)

    def errors(index_BN: np.ndarray) -> np.ndarray:
        gap_BG = sums_by_group(bin_N[index_BN], num_bins, gap_N[index_BN])
        return np.abs(gap_BG).sum(1, keepdims=True) / len(class_N)

    return bootstrap(errors, class_N, draws, seed)[0]


def abstention(confidence_N: np.ndarray, is_right_N: np.ndarray) -> dict[str, Any] | None:
    """What abstaining buys: `curve`, and `aurc`, the area under the risk-coverage curve; None without pictures.

    The curve is a list of dicts, lowest threshold first: threshold, n, coverage (share of pictures at or above the
    threshold) and their accuracy, None where there are none.

    Args:
        confidence_N: probability of the guess, in [0, 1].
        is_right_N: bool, whether it was right.
    """
    if len(is_right_N) == 0:
        return None
    return {
        "curve": [_at_threshold(threshold, confidence_N, is_right_N) for threshold in THRESHOLDS],
        "aurc": _aurc(confidence_N, is_right_N),
    }


def _at_threshold(threshold: float, confidence_N: np.ndarray, is_right_N: np.ndarray) -> dict[str, Any]:
    is_kept_N = confidence_N >= threshold
    n = int(is_kept_N.sum())
    right = int(is_right_N[is_kept_N].sum())
    return {"threshold": threshold, "n": n, "coverage": n / len(is_right_N), "accuracy": right / n if n else None}


def _aurc(confidence_N: np.ndarray, is_right_N: np.ndarray) -> float | None:
    """Area under the risk-coverage curve: mean over n of the share of wrong ones among the n most confident.

    Equal confidences share their wrong ones.

    Source: Geifman, Uziel and El-Yaniv 2019, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers.
    """
    _, group_N, size_G = np.unique(-confidence_N, return_inverse=True, return_counts=True)
    wrong_G = np.bincount(group_N, ~is_right_N)
    wrong_N = np.cumsum(np.repeat(wrong_G / size_G, size_G))
    return finite_or_none((wrong_N / np.arange(1, len(wrong_N) + 1)).mean())
