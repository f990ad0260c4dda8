"""Two models on the same pictures: how far apart they are, and whether chance alone could be the reason.

Shapes: N pictures, C classes, ... any number of replicates.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from evaluation.metrics.intervals import NOTHING, Z95, Metric
from evaluation.scoring.predictions import Predictions
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class Comparison:
    """Model A against model B.

    Attributes:
        top1: A's accuracy less B's, in [-1, 1].
        balanced_accuracy: the same of the mean over the classes.
        num_only_a_right: pictures that A alone got right.
        num_only_b_right: pictures that B alone got right.
        p_value: of McNemar's exact test, two-sided: were the two equally good, the chance to differ this much or more.
        num_images: pictures compared.
    """

    top1: Metric
    balanced_accuracy: Metric
    num_only_a_right: int
    num_only_b_right: int
    p_value: float | None
    num_images: int


def compare(a: Predictions, b: Predictions) -> Comparison:
    """How model A's guesses compare with model B's on the same pictures of the same task.

    Raises:
        BadInputError: the two saw other pictures, or other classes for them.
    """
    if not np.array_equal(a.row_N, b.row_N):
        differing = len(np.setxor1d(a.row_N, b.row_N))
        raise BadInputError(
            f"the models saw different pictures: {len(a)} and {len(b)}, of which {differing} were seen by one alone; "
            "evaluate both on the same files"
        )
    if not np.array_equal(a.class_N, b.class_N):
        raise BadInputError("the models were scored on different class lists; evaluate both with the same --class-list")
    if len(a) == 0:
        return Comparison(NOTHING, NOTHING, 0, 0, None, 0)
    only_a_N, only_b_N = a.is_right_N & ~b.is_right_N, b.is_right_N & ~a.is_right_N
    classes, class_N = np.unique(a.class_N, return_inverse=True)
    counts = [np.bincount(class_N, which_N, len(classes)) for which_N in (only_a_N, only_b_N, np.ones(len(a)))]
    top1, balanced = differences(*counts)
    num_a, num_b = int(only_a_N.sum()), int(only_b_N.sum())
    p_value = float(binomtest(num_a, num_a + num_b).pvalue) if num_a + num_b else 1.0
    return Comparison(_around(*top1), _around(*balanced), num_a, num_b, p_value, len(a))


def differences(
    only_a_C: np.ndarray, only_b_C: np.ndarray, shown_C: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(difference, half width of its 95 % interval), each [...]: of top-1, then of balanced accuracy.

    Stratified by class as the intervals of one model are. The shares a and b of pictures that one model alone got
    right are shrunk, by one picture, towards those of all classes together: v = a + b - (a - b)^2, and half widths
    z sqrt(sum (n + 1) v) / sum n and z sqrt(sum (n + 1) v / n^2) / classes.

    Args:
        only_a_C: [..., C], pictures per class that model A alone got right.
        only_b_C: [..., C], those that model B alone got right.
        shown_C: [..., C], pictures per class, at least 1.

    Source: own; its coverage is simulated in the tests.
    """
    total, num_classes = shown_C.sum(-1), shown_C.shape[-1]
    share_a_C, share_b_C = (_shrunk(only_C, shown_C) for only_C in (only_a_C, only_b_C))
    variance_C = (share_a_C + share_b_C - (share_a_C - share_b_C) ** 2) * (shown_C + 1) / shown_C
    gap_C = only_a_C - only_b_C
    top1 = gap_C.sum(-1) / total, Z95 * np.sqrt((shown_C * variance_C).sum(-1)) / total
    balanced = (gap_C / shown_C).mean(-1), Z95 * np.sqrt((variance_C / shown_C).sum(-1)) / num_classes
    return top1, balanced


def _shrunk(count_C: np.ndarray, shown_C: np.ndarray) -> np.ndarray:
    """The shares of the classes as if each had one picture more, an average one."""
    average = (count_C.sum(-1, keepdims=True) + 0.5) / (shown_C.sum(-1, keepdims=True) + 1)
    return (count_C + average) / (shown_C + 1)


def _around(value: np.ndarray, half: np.ndarray) -> Metric:
    return Metric(float(value), max(-1.0, float(value - half)), min(1.0, float(value + half)))
