"""Distances and scores in the tree of ranks, against hand-worked cases and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from evaluation.metrics.hierarchy import Lineage, distances, hierarchical_metrics, tree_of

INSECT = ("Animalia", "Arthropoda", "Insecta")
LADYBIRD = (*INSECT, "Coleoptera", "Coccinellidae", "Harmonia", "Harmonia axyridis")
LINEAGES: list[Lineage] = [
    LADYBIRD,
    (*LADYBIRD[:6], "Harmonia dimidiata"),  # 1: same genus
    (*LADYBIRD[:5], "Adalia", "Adalia bipunctata"),  # 2: same family
    (*INSECT, "Lepidoptera", "Saturniidae", "Actias", "Actias luna"),  # 3: same class
    ("Plantae", "Tracheophyta", "Liliopsida", "Arecales", "Arecaceae", "Calamus", None),  # 4: a genus, nothing shared
    ("Plantae", "Tracheophyta", "Liliopsida", "Arecales", "Arecaceae", "Calamus", "Calamus rotang"),  # 5: in that genus
    None,  # 6: unknown
    (*LADYBIRD[:6], "Harmonia quadripunctata"),  # 7 and 8: two subspecies of one species
    (*LADYBIRD[:6], "Harmonia quadripunctata"),
    (None,) * 7,  # 9: unknown
]


def distance(a: int, b: int) -> int:
    return int(distances(np.array([a]), np.array([b]), tree_of(LINEAGES))[0])


@pytest.mark.parametrize(
    ("a", "b", "ranks"),
    [(0, 1, 1), (0, 2, 2), (0, 3, 4), (0, 4, 7), (4, 5, 1), (7, 8, 1), (7, 0, 2), (0, 6, 7), (6, 9, 7), (4, 6, 7)],
)
def test_distance_is_in_ranks_to_the_common_ancestor(a, b, ranks):
    assert distance(a, b) == distance(b, a) == ranks


def test_distance_is_0_only_for_the_same_class():
    for a in range(len(LINEAGES)):
        for b in range(len(LINEAGES)):
            assert (distance(a, b) == 0) == (a == b)


def test_a_name_in_two_branches_is_two_nodes():
    homonyms = [("Animalia", "a", "b", "c", "d", "Oenanthe", "s"), ("Plantae", "a", "b", "c", "d", "Oenanthe", "s")]
    assert distances(np.array([0]), np.array([1]), tree_of(homonyms)).tolist() == [7]


def test_metrics_of_a_hand_worked_case():
    class_N, guess_N = np.array([0, 0, 2, 4]), np.array([0, 1, 3, 5])
    made = hierarchical_metrics(class_N, guess_N, LINEAGES, draws=0)
    assert made is not None
    overlap, guessed, true = 7 + 6 + 3 + 6, 7 + 7 + 7 + 7, 7 + 7 + 7 + 6
    assert made["hierarchical_precision"].value == pytest.approx(overlap / guessed)
    assert made["hierarchical_recall"].value == pytest.approx(overlap / true)
    assert made["hierarchical_f"].value == pytest.approx(2 * overlap / (guessed + true))
    assert made["lca_distance"].value == pytest.approx((0 + 1 + 4 + 1) / 4)


def test_precision_recall_and_f_are_scikit_learns_over_the_sets_of_ancestors():
    rng = np.random.default_rng(7)
    class_N, guess_N = rng.integers(10, size=300), rng.integers(10, size=300)
    nodes = tree_of(LINEAGES).node_CL
    is_in_CV = np.zeros((10, nodes.max() + 1), int)
    for number, row in enumerate(nodes):
        is_in_CV[number, row[row >= 0]] = 1
    oracle = precision_recall_fscore_support(is_in_CV[class_N], is_in_CV[guess_N], average="micro")[:3]
    made = hierarchical_metrics(class_N, guess_N, LINEAGES, draws=100)
    assert made is not None
    assert [made[f"hierarchical_{name}"].value for name in ("precision", "recall", "f")] == pytest.approx(list(oracle))
    for metric in made.values():
        assert metric.value is not None and metric.low is not None and metric.high is not None
        assert metric.low < metric.value < metric.high < 1.15 * metric.value


def test_all_right_is_1_and_0_apart():
    class_N = np.arange(10)
    made = hierarchical_metrics(class_N, class_N, LINEAGES, draws=10)
    assert made is not None
    assert {name: metric.high for name, metric in made.items()} == {
        "hierarchical_precision": 1,
        "hierarchical_recall": 1,
        "hierarchical_f": 1,
        "lca_distance": 0,
    }


def test_without_pictures_or_lineages_there_is_nothing_to_say():
    class_N = np.array([0, 1])
    assert hierarchical_metrics(class_N[:0], class_N[:0], LINEAGES) is None
    assert hierarchical_metrics(class_N, class_N, [None, (None,) * 7]) is None
    assert hierarchical_metrics(class_N, class_N, ()) is None
    assert len(tree_of([]).node_CL) == 0


def test_one_class_of_unknown_place_still_counts_as_itself():
    class_N, guess_N = np.array([1, 1, 0]), np.array([1, 0, 0])
    made = hierarchical_metrics(class_N, guess_N, [LADYBIRD, None], draws=0)
    assert made is not None
    assert made["hierarchical_precision"].value == pytest.approx((1 + 0 + 7) / (1 + 7 + 7))
    assert made["hierarchical_recall"].value == pytest.approx((1 + 0 + 7) / (1 + 1 + 7))
