"""The summary of guesses: scikit-learn's accuracies, with intervals, and nulls where nothing is known."""

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from evaluation.metrics.intervals import wilson
from evaluation.metrics.summary import measure, measure_details
from evaluation.scoring.predictions import Predictions


def predicted(score_NC: np.ndarray, class_N: np.ndarray) -> Predictions:
    guess_NK = np.argsort(-score_NC, axis=1, kind="stable")[:, :5]
    kept_NK = np.take_along_axis(score_NC, guess_NK, 1).astype(np.float32)
    confidence_N = (np.exp(score_NC).max(1) / np.exp(score_NC).sum(1)).astype(np.float32)
    return Predictions(np.arange(len(class_N)), class_N, guess_NK, kept_NK, confidence_N, 0)


def drawn(num_images: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    class_N = rng.integers(num_classes, size=num_images)
    class_N[:num_classes] = np.arange(num_classes)
    return rng.normal(size=(num_images, num_classes)) + 1.5 * np.eye(num_classes)[class_N], class_N


def test_accuracies_are_scikit_learns():
    score_NC, class_N = drawn(400, 8)
    made = measure(predicted(score_NC, class_N), list("abcdefgh"))
    for k in (1, 3, 5):
        oracle = top_k_accuracy_score(class_N, score_NC, k=k)
        assert made["metrics"][f"top{k}"]["value"] == pytest.approx(oracle)
    oracle = balanced_accuracy_score(class_N, score_NC.argmax(1))
    assert made["metrics"]["balanced_accuracy"]["value"] == pytest.approx(oracle)
    assert made["paper_interval"] == wilson(int((score_NC.argmax(1) == class_N).sum()), 400).to_dict()
    assert made["chance"] == 1 / 8
    assert made["majority"] == np.bincount(class_N).max() / 400
    assert sum(row["right"] for row in made["per_class"]) == (score_NC.argmax(1) == class_N).sum()
    assert list(made["metrics"]) == ["top1", "top3", "top5", "balanced_accuracy"]
    assert [row["name"] for row in made["per_class"]] == list("abcdefgh")


@pytest.mark.parametrize(
    ("num_classes", "names"), [(1, ["top1"]), (3, ["top1"]), (4, ["top1", "top3"]), (5, ["top1", "top3"])]
)
def test_top_k_only_with_more_classes_than_guesses(num_classes, names):
    made = measure(predicted(*drawn(30, num_classes)), list("abcde")[:num_classes])
    assert [name for name in made["metrics"] if name.startswith("top")] == names


def test_the_details_have_intervals_and_their_top1_is_that_of_the_rest():
    score_NC, class_N = drawn(600, 120)
    names = [f"Genus{number // 4} epithet{number}" for number in range(120)]
    lineages = [("Animalia", "p", "c", "o", f"f{n // 20}", f"Genus{n // 4}", name) for n, name in enumerate(names)]
    made, rest = measure_details(predicted(score_NC, class_N), lineages), measure(predicted(score_NC, class_N), names)
    for name in ("ece", "hierarchical_precision", "hierarchical_recall", "hierarchical_f", "lca_distance"):
        metric = made["metrics"][name]
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"]
    top1 = rest["metrics"]["top1"]["value"]
    assert made["metrics"]["hierarchical_f"]["value"] > top1
    others = made["other_species_interval"]
    assert others["low"] < others["value"] == top1 < others["high"]
    assert rest["confusions"][0]["true"] in names and rest["per_class"][7]["name"] == names[7]
    assert sum(row["n"] for row in made["calibration"]) == 600
    assert made["abstention"]["curve"][0]["accuracy"] == pytest.approx(top1)
    again = measure_details(predicted(score_NC, class_N), lineages)
    assert json.dumps(again, allow_nan=False) == json.dumps(made, allow_nan=False)


def test_classes_at_the_end_of_the_list_without_pictures_or_right_guesses_change_no_interval():
    score_NC, class_N = drawn(600, 120)
    longer_NC = np.pad(score_NC, ((0, 0), (0, 3)), constant_values=-50)
    made = measure_details(predicted(longer_NC, class_N))
    assert made["other_species_interval"] == measure_details(predicted(score_NC, class_N))["other_species_interval"]
    score_NC[class_N == 119, 119] = -50
    interval = measure_details(predicted(score_NC, class_N))["other_species_interval"]
    assert interval["value"] == np.mean(score_NC.argmax(1) == class_N)


def test_labels_without_lineages_leave_the_tree_open():
    made = measure_details(predicted(*drawn(50, 4)))
    assert (
        made["metrics"]["hierarchical_f"]
        == made["metrics"]["lca_distance"]
        == {"value": None, "low": None, "high": None}
    )
    assert made["metrics"]["ece"]["value"] is not None
    assert made["other_species_interval"] is None


def test_no_pictures_give_nulls_and_what_is_not_a_number_too():
    empty = Predictions(*(np.zeros(shape, int) for shape in (0, 0, (0, 5), (0, 5), 0)), num_near_ties=0)
    made, details = measure(empty, list("abcdefg")), measure_details(empty, [None] * 7)
    assert all(set(metric.values()) == {None} for metric in (made["metrics"] | details["metrics"]).values())
    assert made["majority"] is details["abstention"] is made["paper_interval"]["low"] is None
    assert details["other_species_interval"] is None
    assert (made["chance"], made["confusions"], len(made["per_class"])) == (1 / 7, [], 7)
    score_NC, class_N = drawn(50, 4)
    score_NC[3] = np.nan
    predictions = predicted(score_NC, class_N)
    json.dumps([measure(predictions, list("abcd")), measure_details(predictions)], allow_nan=False)


def test_a_choice_between_two_of_ten_is_a_coin():
    class_N = np.arange(10)
    one_guess = Predictions(class_N, class_N, class_N[:, None], np.ones((10, 1)), np.ones(10), 0)
    made = measure(one_guess, list("abcdefghij"), num_choices=2)
    assert (made["chance"], made["majority"]) == (0.5, None)
    assert [name for name in made["metrics"] if name.startswith("top")] == ["top1"]


def test_without_draws_only_the_bootstrap_is_left_out():
    made = measure_details(predicted(*drawn(200, 110)), draws=0)
    assert made["metrics"]["ece"]["value"] > 0 and made["metrics"]["ece"]["low"] is None
    assert made["other_species_interval"] is None
