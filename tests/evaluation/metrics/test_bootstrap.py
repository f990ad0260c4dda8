"""Bootstrap intervals against formulas, hand-worked cases and their own seeds."""

import numpy as np
import pytest

from evaluation.metrics import bootstrap as module
from evaluation.metrics.bootstrap import bootstrap, cluster_bootstrap, sums_by_group
from evaluation.metrics.intervals import NOTHING, Metric, accuracy

CLASS_N = np.array([2, 0, 2, 1, 0, 2])


def test_every_draw_keeps_the_pictures_per_class_and_the_value_is_of_all_pictures_once():
    seen = []

    def record(index_BN: np.ndarray) -> np.ndarray:
        seen.extend(index_BN.tolist())
        return index_BN.sum(1, keepdims=True).astype(float)

    (metric,) = bootstrap(record, CLASS_N, draws=200)
    assert seen[0] == [0, 1, 2, 3, 4, 5] and metric.value == 15
    assert all(sorted(CLASS_N[draw]) == sorted(CLASS_N) for draw in seen[1:])
    assert {index for draw in seen[1:] for index in draw} == set(range(6))
    assert len({tuple(draw) for draw in seen[1:]}) > 30


def test_width_of_a_mean_is_that_of_the_stratified_formula():
    rng = np.random.default_rng(1)
    class_N = np.repeat(np.arange(20), 200)
    is_right_N = rng.random(len(class_N)) < np.linspace(0.1, 0.9, 20)[class_N]
    (drawn,) = bootstrap(lambda index_BN: is_right_N[index_BN].mean(1, keepdims=True), class_N)
    formula = accuracy(np.bincount(class_N, is_right_N), np.bincount(class_N))
    for metric in (drawn, formula):
        assert metric.value == pytest.approx(is_right_N.mean())
    assert width(drawn) == pytest.approx(width(formula), rel=0.08)
    plain = 2 * 1.96 * np.sqrt(0.25 / len(class_N))
    assert width(drawn) < 0.93 * plain  # drawn without regard to classes it would be as wide as that


def test_pieces_do_not_change_the_draws_and_seeds_do(monkeypatch: pytest.MonkeyPatch):
    value_N = np.random.default_rng(2).random(6)

    def mean(index_BN: np.ndarray) -> np.ndarray:
        return value_N[index_BN].mean(1, keepdims=True)

    whole, other = bootstrap(mean, CLASS_N), bootstrap(mean, CLASS_N, seed=1)
    cluster = cluster_bootstrap(np.arange(120), np.full(120, 120))
    monkeypatch.setattr(module, "_AT_ONCE", 250)
    assert bootstrap(mean, CLASS_N) == whole != other
    assert cluster_bootstrap(np.arange(120), np.full(120, 120)) == cluster


def test_a_biased_figure_stays_in_its_interval_and_nan_is_nothing():
    value, not_a_number = bootstrap(biased, CLASS_N, draws=50)
    assert value == Metric(0.0, 0.0, 1.0)
    assert not_a_number == NOTHING


def biased(index_BN: np.ndarray) -> np.ndarray:
    is_drawn = (index_BN != np.arange(6)).any(1).astype(float)
    return np.stack([is_drawn, np.full(len(index_BN), np.nan)], 1)


def test_no_draws_leave_the_ends_open():
    assert bootstrap(lambda index_BN: np.ones((len(index_BN), 1)), CLASS_N, draws=0) == [Metric(1.0, None, None)]


def test_sums_by_group_of_a_hand_worked_case():
    group_BN = np.array([[0, 2, 2], [1, 1, 1]])
    assert sums_by_group(group_BN, 3).tolist() == [[1, 0, 2], [0, 3, 0]]
    assert sums_by_group(group_BN, 3, np.array([[0.5, 1, 2], [3, 4, 5]])).tolist() == [[0.5, 0, 3], [0, 12, 0]]


def test_other_species_need_100_with_pictures():
    shown_C = np.array([0, *[10] * 99])
    assert cluster_bootstrap(shown_C // 2, shown_C) is None
    assert cluster_bootstrap(np.full(100, 5), np.full(100, 10)) == Metric(0.5, 0.5, 0.5)


def test_other_species_width_is_that_of_the_classes_shares():
    right_C = np.random.default_rng(3).binomial(10, np.linspace(0, 1, 300))
    metric = cluster_bootstrap(right_C, np.full(300, 10))
    assert metric is not None and metric.value == pytest.approx(right_C.sum() / 3000)
    assert width(metric) == pytest.approx(2 * 1.96 * (right_C / 10).std() / np.sqrt(300), rel=0.1)


def width(metric: Metric) -> float:
    assert metric.low is not None and metric.high is not None
    return metric.high - metric.low
