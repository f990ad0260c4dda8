"""Intervals of accuracies: hand-worked and published cases, and how often they cover the truth."""

import random
from math import sqrt

import pytest

from evaluation.metrics.intervals import NOTHING, accuracy, balanced_accuracy, finite_or_none, wilson


def test_accuracy_of_a_hand_worked_case():
    metric = accuracy([3, 1], [4, 2])
    v0, v1 = 3.5 / 5 * 1.5 / 5, 1.5 / 3 * 1.5 / 3
    half = 1.96 * sqrt(4 * v0 + 2 * v1) / 6
    assert (metric.value, metric.low, metric.high) == pytest.approx((4 / 6, 4 / 6 - half, min(1, 4 / 6 + half)))


def test_balanced_accuracy_of_a_hand_worked_case_leaves_empty_classes_out():
    metric = balanced_accuracy([30, 0, 10], [40, 0, 20])
    v0, v2 = 30.5 / 41 * 10.5 / 41, 10.5 / 21 * 10.5 / 21
    half = 1.96 * sqrt(v0 / 40 + v2 / 20) / 2
    assert (metric.value, metric.low, metric.high) == pytest.approx((0.625, 0.625 - half, 0.625 + half))


def test_wilson_of_a_published_example():
    metric = wilson(4, 20)  # Agresti and Coull's form of the score interval
    assert (metric.low, metric.high) == pytest.approx((0.0807, 0.4160), abs=2e-4)


@pytest.mark.parametrize("metric", [accuracy([], []), accuracy([0, 0], [0, 0]), balanced_accuracy([0], [0])])
def test_nothing_shown_is_nothing_known(metric):
    assert metric == NOTHING
    assert wilson(0, 0) == NOTHING


def test_what_is_no_number_is_none():
    assert [finite_or_none(value) for value in (0.5, float("nan"), float("inf"))] == [0.5, None, None]


def test_intervals_hold_their_value_and_stay_within_0_and_1():
    rng = random.Random(5)
    for _ in range(300):
        shown = [rng.randint(0, 6) for _ in range(rng.randint(1, 8))] + [1]
        right = [rng.randint(0, n) for n in shown]
        for metric in (accuracy(right, shown), balanced_accuracy(right, shown), wilson(sum(right), sum(shown))):
            assert metric.value is not None and metric.low is not None and metric.high is not None
            assert 0 <= metric.low <= metric.value <= metric.high <= 1


@pytest.mark.parametrize(("shown", "truth"), [([50] * 10, 0.4), ([20, 40, 200, 30], 0.7)])
def test_intervals_cover_the_truth_about_95_times_in_100(shown, truth):
    rng = random.Random(11)
    hits = {"accuracy": 0, "balanced": 0, "wilson": 0}
    draws = 600
    for _ in range(draws):
        right = [sum(rng.random() < truth for _ in range(n)) for n in shown]
        made = (accuracy(right, shown), balanced_accuracy(right, shown), wilson(sum(right), sum(shown)))
        for name, metric in zip(hits, made, strict=True):
            hits[name] += metric.low <= truth <= metric.high  # pyright: ignore[reportOptionalOperand]
    assert all(0.92 <= hit / draws <= 0.99 for hit in hits.values()), hits
