"""Calibration and abstention against scikit-learn and hand-worked cases."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from evaluation.metrics.calibration import abstention, bin_of, calibration_bins, calibration_error
from evaluation.metrics.intervals import NOTHING


def test_bins_hold_their_upper_edges():
    assert bin_of(np.array([0, 0.1, 0.25, 0.250001, 0.5, 0.75, 1]), 4).tolist() == [0, 0, 0, 1, 1, 2, 3]


def test_a_hand_worked_case_of_two_bins():
    confidence_N = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    is_right_N = np.array([True, False, True, True, False])
    low, high = calibration_bins(confidence_N, is_right_N, 2)
    assert low == pytest.approx({"low": 0, "high": 0.5, "n": 2, "confidence": 0.3, "accuracy": 0.5})
    assert high == pytest.approx({"low": 0.5, "high": 1, "n": 3, "confidence": 0.8, "accuracy": 2 / 3})
    error = calibration_error(confidence_N, is_right_N, np.zeros(5, int), 2)
    assert error.value == pytest.approx(2 / 5 * 0.2 + 3 / 5 * (0.8 - 2 / 3))


def test_bins_and_error_are_scikit_learns():
    rng = np.random.default_rng(4)
    confidence_N = rng.random(2000).astype(np.float32)
    is_right_N = rng.random(2000) < confidence_N**2
    accuracy, confidence = calibration_curve(is_right_N, confidence_N, n_bins=15)
    made = [row for row in calibration_bins(confidence_N, is_right_N) if row["n"]]
    assert [row["accuracy"] for row in made] == pytest.approx(accuracy)
    assert [row["confidence"] for row in made] == pytest.approx(confidence)
    weight = np.array([row["n"] for row in made]) / 2000
    error = calibration_error(confidence_N, is_right_N, np.arange(2000) % 10, draws=300)
    assert error.value == pytest.approx((abs(accuracy - confidence) * weight).sum())
    assert error.low is not None and error.high is not None and 0.1 < error.low < 1 / 6 < error.high < 0.22


def test_a_sure_and_right_model_has_no_error_and_a_sure_and_wrong_one_has_1():
    for is_right, value in ((True, 0), (False, 1)):
        error = calibration_error(np.ones(6), np.full(6, is_right), np.arange(6) % 2, draws=20)
        assert (error.value, error.low, error.high) == (value, value, value)


def test_empty_bins_have_no_figures_and_no_pictures_no_metric():
    bins = calibration_bins(np.array([0.95]), np.array([True]))
    assert [row["n"] for row in bins] == [0] * 14 + [1]
    assert all(row["accuracy"] is row["confidence"] is None for row in bins[:-1])
    nothing = np.zeros(0), np.zeros(0, bool)
    assert calibration_error(*nothing, np.zeros(0, int)) == NOTHING
    assert abstention(*nothing) is None
    assert {row["n"] for row in calibration_bins(*nothing)} == {0}


def test_abstention_of_a_hand_worked_case():
    made = abstention(np.array([0.9, 0.3, 0.7, 0.5]), np.array([True, False, False, True]))
    assert made is not None
    at = {row["threshold"]: (row["n"], row["coverage"], row["accuracy"]) for row in made["curve"]}
    assert at[0.0] == (4, 1, 0.5)
    assert at[0.5] == (3, 0.75, pytest.approx(2 / 3))
    assert at[0.9] == (1, 0.25, 1)
    assert at[0.99] == (0, 0, None)
    assert made["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)  # surest first: right, wrong, right, wrong


def test_equal_confidences_have_no_order():
    rng = np.random.default_rng(5)
    confidence_N, is_right_N = rng.integers(0, 4, 50) / 4, rng.random(50) < 0.5
    order_N = rng.permutation(50)
    made = abstention(confidence_N, is_right_N)
    assert made == abstention(confidence_N[order_N], is_right_N[order_N])
    constant = abstention(np.full(50, 0.5), is_right_N)
    assert constant is not None and constant["aurc"] == pytest.approx(1 - is_right_N.mean())


def test_aurc_is_least_where_the_sure_ones_are_right():
    is_right_N = np.arange(40) < 20
    areas = [abstention(confidence_N, is_right_N) for confidence_N in (1 - np.arange(40) / 40, np.arange(40) / 40)]
    assert areas[0] is not None and areas[1] is not None
    assert areas[0]["aurc"] < 0.2 < 0.7 < areas[1]["aurc"]
