"""Few-shot accuracy against a direct implementation and a hand-worked case."""

import json

import numpy as np
import pytest

from evaluation.metrics.few_shot import few_shot, mean_and_std, nearest_mean
from evaluation.metrics.splits import make_split


def clusters(num_classes, per_class, width, noise, seed=0):
    """Unit embeddings around one direction per class, classes mixed; their classes and keys."""
    generator = np.random.default_rng(seed)
    class_N = generator.permutation(np.repeat(np.arange(num_classes), per_class))
    mean_CD = generator.normal(size=(num_classes, width))
    image_ND = mean_CD[class_N] + noise * generator.normal(size=(len(class_N), width)) + 2  # off centre, as in CLIP
    image_ND = (image_ND / np.linalg.norm(image_ND, axis=1, keepdims=True)).astype(np.float32)
    return image_ND, class_N, [f"{number}.jpg" for number in range(len(class_N))]


def direct(image_ND, class_N, support, queries):
    """Shares of right ones by the definition, distance by distance."""
    image_ND = image_ND.astype(np.float64)
    centre_D = image_ND[support].mean(0)

    def moved(number):
        shifted_D = image_ND[number] - centre_D
        return shifted_D / np.sqrt((shifted_D**2).sum())

    means = {one: np.mean([moved(n) for n in support if class_N[n] == one], axis=0) for one in set(class_N[support])}
    right = 0
    for number in queries:
        distances = {one: ((moved(number) - mean_D) ** 2).sum() for one, mean_D in means.items()}
        right += min(distances, key=lambda one: (distances[one], one)) == class_N[number]
    return right / len(queries)


def test_few_shot_equals_a_direct_implementation_on_the_same_split():
    image_ND, class_N, keys = clusters(12, 9, 16, noise=1.2)
    split = make_split(class_N, keys)
    found = few_shot(image_ND, split)
    for k in (1, 5):
        expected = [
            direct(image_ND, class_N, split.support(fold, k), split.queries(fold, k)) for fold in range(split.num_folds)
        ]
        top1 = found["shots"][str(k)]["top1"]
        assert top1["folds"] == expected
        assert (top1["mean"], top1["std"]) == pytest.approx((np.mean(expected), np.std(expected)))
        assert 1 / 12 < top1["mean"] < 1  # neither blind nor trivial: an error would show
    assert found["shots"]["1"]["top1"]["mean"] < found["shots"]["5"]["top1"]["mean"]
    assert found["split_sha256"] == split.sha256
    json.dumps(found, allow_nan=False)


def test_a_hand_worked_case():
    # support mean (2, 2); class 0 at (-1, 0), class 1 at (1, 0) once scaled; the far picture lies on the side of 0
    image_ND = np.array([[1, 2], [3, 2], [0, 9], [2.5, 2]], np.float32)
    guess_Q = nearest_mean(image_ND, np.array([0, 1]), np.array([4, 7]), np.array([2, 3]))
    assert guess_Q.tolist() == [4, 7]
    on_the_border = np.array([[1, 2], [3, 2], [2, 5], [2, 2]], np.float32)  # also the support's mean itself
    assert nearest_mean(on_the_border, np.array([0, 1]), np.array([4, 7]), np.array([2, 3])).tolist() == [4, 4]


def test_classes_with_too_few_pictures_are_left_out_and_counted():
    image_ND, class_N, keys = clusters(4, 6, 8, noise=0.01)
    number = np.flatnonzero(class_N == 3)[5]  # five left, as of the eggs of LifeStages
    rows = np.delete(np.arange(len(class_N)), number)
    found = few_shot(image_ND[rows], make_split(class_N[rows], [keys[row] for row in rows]))["shots"]
    assert (found["1"]["num_classes"], found["1"]["num_classes_left_out"]) == (4, 0)
    assert (found["5"]["num_classes"], found["5"]["num_classes_left_out"]) == (3, 1)
    assert (found["5"]["num_support"], found["5"]["num_queries"]) == (15, 3)
    assert found["5"]["top1"] == {"mean": 1.0, "std": 0.0, "folds": [1.0] * 5}
    assert few_shot(image_ND[:0], make_split(class_N[:0], []))["shots"]["1"]["top1"] == {
        "mean": None,
        "std": None,
        "folds": [],
    }


def test_order_of_pictures_and_scale_of_embeddings_change_nothing():
    image_ND, class_N, keys = clusters(8, 7, 8, noise=1)
    order = np.random.default_rng(3).permutation(len(keys))
    again = few_shot(image_ND[order] * 2, make_split(class_N[order], [keys[row] for row in order]))
    assert again == few_shot(image_ND, make_split(class_N, keys))


def test_mean_and_std_are_of_the_folds():
    assert mean_and_std([0.25, 0.75]) == {"mean": 0.5, "std": 0.25, "folds": [0.25, 0.75]}
