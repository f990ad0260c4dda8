"""Answers are exact: the order of all products in fp64, ties to the lower index, probabilities as in evaluation."""

import numpy as np
import pytest
import torch

import inference.predict.scores as module
from evaluation.encoding.features import Features
from evaluation.scoring.guess import guess
from evaluation.scoring.rollup_sums import Rollup
from inference.labels.lineage_groups import Groups
from inference.predict.predictor import LABEL, Predictor, Question
from inference.predict.scores import Candidates, cosines, error_bound, exact_best

pytestmark = pytest.mark.torch

SCALE = 40.0


def unit(draw: np.random.Generator, num: int, width: int) -> np.ndarray:
    rows = draw.standard_normal((num, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def world(seed: int, num_labels: int = 300, width: int = 24):
    """Pictures and labels, of which many are equal and others a rounding apart."""
    draw = np.random.default_rng(seed)
    image_ND, label_CD = unit(draw, 7, width), unit(draw, num_labels, width)
    label_CD[draw.integers(num_labels, size=num_labels // 2)] = label_CD[draw.integers(num_labels, size=3)[0]]
    close = draw.integers(num_labels, size=20)
    label_CD[close] = np.nextafter(label_CD[draw.integers(num_labels, size=20)], np.float32(2))
    label_CD[1] = label_CD[-1] = image_ND[0]
    return draw, image_ND, label_CD


def brute_force(image_D, label_CD, k):
    score_C = (torch.from_numpy(label_CD).double() @ torch.from_numpy(image_D).double()).float().numpy()
    order = np.argsort(-score_C, kind="stable")[:k]
    return order.tolist(), score_C[order].tolist()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_best_are_those_of_all_products_whatever_the_blocks(seed, dtype, monkeypatch):
    monkeypatch.setattr(module, "_LABELS_AT_ONCE", 37)
    monkeypatch.setattr(module, "_AGAIN_AT_ONCE", 11)
    draw, image_ND, label_CD = world(seed)
    label_CD = label_CD.astype(dtype)
    subset = np.sort(draw.choice(len(label_CD), 120, replace=False))
    for candidates in (Candidates(label_CD), Candidates(label_CD, subset)):
        rows = label_CD if candidates.number_S is None else label_CD[subset]
        for image_D, cosine_S in zip(image_ND, cosines(image_ND, candidates), strict=True):
            for k in (1, 5, 119, 500):
                index_K, score_K = exact_best(cosine_S, k, image_D, candidates)
                assert (index_K.tolist(), score_K.tolist()) == brute_force(image_D, rows.astype(np.float32), k)


@pytest.mark.parametrize("width", [3, 64, 1024])
def test_products_in_float32_keep_within_the_bound(width):
    draw = np.random.default_rng(width)
    image_ND, label_CD = unit(draw, 20, width), unit(draw, 500, width)
    apart = cosines(image_ND, Candidates(label_CD)) - image_ND.astype(np.float64) @ label_CD.T.astype(np.float64)
    assert 0 < np.abs(apart).max() < error_bound(width)


def test_a_first_look_at_the_edge_of_the_bound_loses_nothing():
    _, image_ND, label_CD = world(9)
    candidates, draw = Candidates(label_CD), np.random.default_rng(1)
    for image_D in image_ND:
        exact_S = (label_CD.astype(np.float64) @ image_D.astype(np.float64)).astype(np.float32)
        for _ in range(20):
            off_S = exact_S + draw.choice([-1, 1], len(exact_S)) * np.float32(error_bound(24))
            index_K, _ = exact_best(off_S.astype(np.float32), 5, image_D, candidates)
            assert index_K.tolist() == brute_force(image_D, label_CD, 5)[0]


def test_answers_are_those_of_evaluation():
    """The same labels, cosines and taxa, probabilities within rounding."""
    draw, image_ND, label_CD = world(4)
    code_C = draw.integers(-1, 12, len(label_CD)).astype(np.int32)
    first_G = np.array([np.flatnonzero(code_C == code)[0] for code in range(12)])
    row_N = np.arange(len(image_ND))
    rollup = Rollup(code_C.astype(np.int64), np.zeros(len(row_N), np.int64), 12)
    theirs, rolled = guess(
        Features(image_ND, row_N, (), ()), label_CD, np.zeros(len(row_N), np.int64), SCALE, {"family": rollup}
    )
    groups = {"family": Groups(code_C, first_G)}
    own = list(Predictor(Candidates(label_CD), groups, SCALE, Question()).answers(image_ND))
    assert [[one.number for one in found] for found in own] == theirs.guess_NK.tolist()
    assert [[np.float32(one.cosine) for one in found] for found in own] == theirs.score_NK.tolist()
    assert np.allclose([found[0].probability for found in own], theirs.confidence_N, rtol=1e-5)
    families = list(Predictor(Candidates(label_CD), groups, SCALE, Question("family")).answers(image_ND))
    assert [[one.number for one in found] for found in families] == rolled["family"].guess_NK.tolist()
    probabilities = [[one.probability for one in found] for found in families]
    assert np.allclose(probabilities, rolled["family"].score_NK, rtol=1e-5)
    for found, image_D in zip(families, image_ND, strict=True):
        for one in found:
            assert np.float32(one.cosine) == brute_force(image_D, label_CD[code_C == one.number], 1)[1][0]


def test_only_those_that_take_part_share_the_probability():
    _, image_ND, label_CD = world(5)
    subset = np.array([4, 9, 30, 31])
    code_C = (np.arange(300) % 3 - 1).astype(np.int32)
    groups = {"genus": Groups(code_C, np.array([1, 2]))}
    question = Question("genus", 10)
    (found, *_) = Predictor(Candidates(label_CD, subset), groups, SCALE, question).answers(image_ND)
    assert {one.number for one in found} == set(code_C[subset].tolist()) - {-1}
    (labels, *_) = Predictor(Candidates(label_CD, subset), groups, SCALE, Question(top_k=10)).answers(image_ND)
    assert sorted(one.number for one in labels) == subset.tolist()
    assert sum(one.probability for one in labels) == pytest.approx(1, abs=1e-6)
    of_known = sum(one.probability for one in labels if code_C[one.number] >= 0)
    assert sum(one.probability for one in found) == pytest.approx(of_known, abs=1e-6)


def test_backing_off_stops_at_the_deepest_rank_that_is_sure_enough():
    _, image_ND, label_CD = world(6)
    codes = {rank: (np.arange(300) // size).astype(np.int32) for rank, size in (("genus", 3), ("family", 30))}
    codes["kingdom"] = np.where(np.arange(300) < 250, np.arange(300) // 130, -1).astype(np.int32)
    groups = {rank: Groups(own, np.unique(own[own >= 0], return_index=True)[1]) for rank, own in codes.items()}
    deepest_first = (LABEL, "genus", "family", "kingdom")

    def answers(question):
        return list(Predictor(Candidates(label_CD), groups, 8.0, question).answers(image_ND))

    best = {rank: answers(Question(rank, 2)) for rank in deepest_first}
    seen = set()
    exactly = best["genus"][0][0].probability
    assert answers(Question(LABEL, 2, exactly))[0][0].rank == "genus", "at least is not more than"
    for least in (0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0):
        for number, found in enumerate(answers(Question(LABEL, 2, least))):
            sure = [rank for rank in deepest_first if best[rank][number][0].probability >= least]
            assert list(found) == (best[sure[0]][number] if sure else [])
            seen.add(sure[0] if sure else None)
    assert len(seen) > 2, "the levels must differ for the test to say anything"
    for found in answers(Question("family", 1, 0.0)):
        assert found[0].rank == "family"
