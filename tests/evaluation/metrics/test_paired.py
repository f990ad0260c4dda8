"""Two models on the same pictures: the difference and its interval."""

from math import sqrt

import numpy as np
import pytest

from evaluation.metrics.intervals import NOTHING
from evaluation.metrics.paired import compare
from evaluation.scoring.predictions import Predictions
from taxonomy.errors import BadInputError


def predicted(class_N: np.ndarray, is_right_N: np.ndarray, row_N: np.ndarray | None = None) -> Predictions:
    """Of two classes: the right one, or the other one."""
    guess_N1 = np.where(is_right_N, class_N, 1 - class_N)[:, None]
    ones_N = np.ones(len(class_N), np.float32)
    return Predictions(
        np.arange(len(class_N)) if row_N is None else row_N, class_N, guess_N1, ones_N[:, None], ones_N, 0
    )


CLASS_N = np.array([0] * 8 + [1] * 4)
A = predicted(CLASS_N, np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1], bool))
B = predicted(CLASS_N, np.array([0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1], bool))


def test_a_hand_worked_case():
    made = compare(A, B)
    assert (made.num_only_a_right, made.num_only_b_right, made.num_images) == (3, 1, 12)
    assert made.p_value == pytest.approx(2 * (4 + 1) / 16)  # of 4 coins, 3 or 4 heads, or as many tails
    assert made.top1.value == pytest.approx(2 / 12)
    assert made.balanced_accuracy.value == pytest.approx((2 / 8 + 0) / 2)
    mean_a, mean_b = 3.5 / 13, 1.5 / 13
    shrunk = [((3 + mean_a) / 9, (1 + mean_b) / 9), (mean_a / 5, mean_b / 5)]
    v0, v1 = (a + b - (a - b) ** 2 for a, b in shrunk)
    half = 1.96 * sqrt(9 * v0 + 5 * v1) / 12
    assert (made.top1.low, made.top1.high) == pytest.approx((2 / 12 - half, 2 / 12 + half))
    half = 1.96 * sqrt(9 * v0 / 64 + 5 * v1 / 16) / 2
    assert made.balanced_accuracy.high == pytest.approx(2 / 16 + half)


def test_the_other_way_round_everything_changes_its_sign():
    made, turned = compare(A, B), compare(B, A)
    for one, other in ((made.top1, turned.top1), (made.balanced_accuracy, turned.balanced_accuracy)):
        assert None not in (one.value, one.low, one.high, other.value, other.low, other.high)
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))  # pyright: ignore
    assert made.p_value == turned.p_value
    assert made.num_only_a_right == turned.num_only_b_right


def test_equal_models_differ_by_nothing_yet_not_for_certain():
    made = compare(A, A)
    assert (made.top1.value, made.p_value, made.num_only_a_right, made.num_only_b_right) == (0, 1, 0, 0)
    assert made.top1.low is not None and made.top1.low < 0


def test_pairing_makes_the_interval_narrower_than_independent_models_would():
    rng = np.random.default_rng(8)
    class_N = rng.integers(2, size=4000)
    base_N = rng.random(4000) < 0.5
    better = compare(predicted(class_N, base_N | (rng.random(4000) < 0.05)), predicted(class_N, base_N))
    assert better.top1.low is not None and better.top1.high is not None
    assert better.top1.high - better.top1.low < 0.4 * 2 * 1.96 * sqrt(2 * 0.25 / 4000)
    assert better.top1.low > 0
    assert better.p_value is not None and better.p_value < 1e-9


def test_different_pictures_or_classes_are_refused():
    with pytest.raises(BadInputError, match="12 and 8, of which 4 were seen by one alone"):
        compare(A, predicted(CLASS_N[:8], np.ones(8, bool)))
    with pytest.raises(BadInputError, match="different pictures: 12 and 12, of which 24"):
        compare(A, predicted(CLASS_N, np.ones(12, bool), np.arange(12) + 12))
    with pytest.raises(BadInputError, match="class lists"):
        compare(A, predicted(1 - CLASS_N, np.ones(12, bool)))


def test_no_pictures_are_nothing():
    nothing = predicted(CLASS_N[:0], np.zeros(0, bool))
    made = compare(nothing, nothing)
    assert made.top1 == made.balanced_accuracy == NOTHING and made.p_value is None
