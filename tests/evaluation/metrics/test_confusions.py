"""Pairs taken for each other, against scikit-learn and a hand-worked case."""

import numpy as np
from sklearn.metrics import confusion_matrix, recall_score

from evaluation.metrics.confusions import confused_pairs, per_class

NAMES = ("lynx", "puma", "ocelot")


def test_pairs_of_a_hand_worked_case():
    class_N, guess_N = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]), np.array([1, 1, 0, 0, 0, 2, 2, 0, 1])
    assert confused_pairs(class_N, guess_N, NAMES) == [
        {"true": "puma", "guessed": "lynx", "count": 2, "share": 1.0},
        {"true": "lynx", "guessed": "puma", "count": 2, "share": 2 / 3},
        {"true": "ocelot", "guessed": "lynx", "count": 1, "share": 0.25},
        {"true": "ocelot", "guessed": "puma", "count": 1, "share": 0.25},
    ]
    assert len(confused_pairs(class_N, guess_N, NAMES, top=1)) == 1


def test_pairs_and_recalls_are_scikit_learns_in_any_order_of_the_pictures():
    rng = np.random.default_rng(6)
    names = [f"c{number}" for number in range(12)]
    class_N, guess_N = rng.integers(12, size=800), rng.integers(12, size=800)
    made = confused_pairs(class_N, guess_N, names, top=1000)
    matrix = confusion_matrix(class_N, guess_N)
    for pair in made:
        assert pair["count"] == matrix[names.index(pair["true"]), names.index(pair["guessed"])]
    assert sum(pair["count"] for pair in made) == (class_N != guess_N).sum()
    assert [pair["count"] for pair in made] == sorted((pair["count"] for pair in made), reverse=True)
    order_N = rng.permutation(800)
    assert confused_pairs(class_N[order_N], guess_N[order_N], names, top=1000) == made
    right_C = np.bincount(class_N[class_N == guess_N], minlength=12)
    recalls = [row["recall"] for row in per_class(right_C, np.bincount(class_N), names)]
    assert recalls == list(recall_score(class_N, guess_N, average=None))  # pyright: ignore[reportArgumentType]


def test_nothing_wrong_and_nothing_shown():
    class_N = np.array([0, 1])
    assert confused_pairs(class_N, class_N, NAMES) == []
    assert confused_pairs(class_N[:0], class_N[:0], ()) == []
    assert per_class(np.array([1, 0]), np.array([2, 0]), NAMES[:2]) == [
        {"name": "lynx", "n": 2, "right": 1, "recall": 0.5},
        {"name": "puma", "n": 0, "right": 0, "recall": None},
    ]


def test_a_million_classes_do_not_mix():
    names = [str(number) for number in range(1_000_000)]
    (pair,) = confused_pairs(np.array([999_999, 5]), np.array([999_998, 5]), names)
    assert (pair["true"], pair["guessed"]) == ("999999", "999998")
