"""Guesses and roll-ups are those of a plain sort and softmax, whatever blocks, threads and ranks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import evaluation.scoring.guess as module
from evaluation.distributed import Share
from evaluation.encoding.features import Features
from evaluation.scoring.guess import Rollup, guess, guess_pairs
from taxonomy.errors import WorkFailedError

pytestmark = pytest.mark.torch

NUM, WIDTH, CLASSES = 90, 8, 41


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_PICTURES_AT_ONCE", 7)
    monkeypatch.setattr(module, "_CLASSES_AT_ONCE", 6)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embeddings(seed: int = 0) -> tuple[Features, np.ndarray, np.ndarray]:
    """Pictures, classes of which several are equal, and the class of every row (some without)."""
    rng = np.random.default_rng(seed)
    class_CD = unit(rng.standard_normal((CLASSES, WIDTH)))
    class_CD[[3, 9, 20, 21, 40]] = class_CD[3]  # in other blocks, and beside another
    class_R = rng.integers(-1, CLASSES, 2 * NUM)
    image_ND = unit(class_CD[class_R[1::2]] + 0.2 * rng.standard_normal((NUM, WIDTH)))
    return Features(image_ND, np.arange(1, 2 * NUM, 2), (), ()), class_CD, class_R


def plainly_sorted(score_NC: np.ndarray, k: int) -> np.ndarray:
    return np.array([sorted(range(len(row)), key=lambda c: (-row[c], c))[:k] for row in score_NC])


def same(one, other) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


def test_guesses_are_those_of_a_plain_sort_ties_included():
    features, class_CD, class_R = embeddings()
    image_ND, row_N = features.image_ND, features.row_N
    made, _ = guess(features, class_CD, class_R, 20.0)
    kept = class_R[row_N] >= 0
    assert (~kept).any() and made.row_N.tolist() == row_N[kept].tolist()
    assert made.class_N.tolist() == class_R[row_N][kept].tolist()
    score_NC = (image_ND.astype(np.float64) @ class_CD.T.astype(np.float64))[kept].astype(np.float32)
    assert made.guess_NK.tolist() == plainly_sorted(score_NC, 5).tolist()
    assert np.array_equal(made.score_NK, np.take_along_axis(score_NC, made.guess_NK, 1))
    softmax_NC = np.exp(20 * score_NC) / np.exp(20 * score_NC.astype(np.float64)).sum(1, keepdims=True)
    assert np.allclose(made.confidence_N, softmax_NC.max(1), rtol=1e-5)
    assert made.num_near_ties == (made.guess_NK[:, 0] == 3).sum() > 5, "the five equal classes tie"
    dtypes = [made.guess_NK.dtype, made.score_NK.dtype, made.confidence_N.dtype, made.row_N.dtype]
    assert dtypes == [np.int64, np.float32, np.float32, np.int64]


def test_a_tie_at_the_last_place_goes_to_the_lowest_indices():
    class_CD = np.eye(CLASSES, dtype=np.float32)
    made, _ = guess(Features(class_CD[[8, 0]], np.arange(2), (), ()), class_CD, np.array([8, 0]), 1.0)
    assert made.guess_NK.tolist() == [[8, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert made.num_near_ties == 0


@pytest.mark.parametrize(("num_classes", "kept"), [(1, 1), (2, 2), (7, 5)])
def test_as_many_guesses_as_there_are_classes(num_classes, kept):
    features, class_CD, _ = embeddings()
    made, _ = guess(features, class_CD[:num_classes], np.zeros(2 * NUM, np.int64), 10.0)
    assert made.guess_NK.shape == made.score_NK.shape == (NUM, kept)
    if num_classes == 1:
        assert (made.confidence_N == 1).all() and made.num_near_ties == 0


def test_nothing_to_guess():
    features, class_CD, class_R = embeddings()
    nothing = Features(np.zeros((0, WIDTH), np.float32), np.zeros(0, np.int64), (), ())
    none, _ = guess(nothing, class_CD, class_R, 10.0)
    assert len(none) == 0 and none.guess_NK.shape == (0, 5)
    unlabelled, _ = guess(features, class_CD, np.full_like(class_R, -1), 10.0)
    assert len(unlabelled) == 0


def rollups(class_R: np.ndarray) -> dict[str, Rollup]:
    """Three groups with two classes outside; and one group per class, in another order."""
    code_C = np.arange(CLASSES) % 3
    code_C[[5, 30]] = -1
    order = np.random.default_rng(1).permutation(CLASSES)
    own_R, all_R = (np.where(class_R < 0, -1, codes[class_R]) for codes in (code_C, order))
    return {"genus": Rollup(code_C, own_R, 3), "species": Rollup(order, all_R, CLASSES)}


def test_rollups_are_sums_of_the_softmax():
    features, class_CD, class_R = embeddings()
    row_N = features.row_N
    _, made = guess(features, class_CD, class_R, 12.0, rollups(class_R))
    logit_NC = 12 * (features.image_ND.astype(np.float64) @ class_CD.T.astype(np.float64))
    softmax_NC = np.exp(logit_NC) / np.exp(logit_NC).sum(1, keepdims=True)
    for name, rollup in rollups(class_R).items():
        kept = rollup.class_R[row_N] >= 0
        sum_NG = np.stack([softmax_NC[:, rollup.code_C == g].sum(1) for g in range(rollup.num_classes)], 1)[kept]
        assert made[name].row_N.tolist() == row_N[kept].tolist()
        assert np.allclose(made[name].score_NK, -np.sort(-sum_NG, axis=1)[:, :5], atol=1e-6)
        assert np.allclose(np.take_along_axis(sum_NG, made[name].guess_NK, 1), made[name].score_NK, atol=1e-6)
        assert np.array_equal(made[name].confidence_N, made[name].score_NK[:, 0])
    assert made["genus"].guess_NK.shape[1] == 3
    assert (made["genus"].score_NK.sum(1) < 1 - 1e-4).any(), "classes outside keep their share"


def test_rollups_leave_the_guesses_among_the_classes_and_each_other_as_they_are():
    features, class_CD, class_R = embeddings()
    both, rolled = guess(features, class_CD, class_R, 12.0, rollups(class_R))
    alone, none = guess(features, class_CD, class_R, 12.0)
    assert same(both, alone) and none == {}
    for name, rollup in rollups(class_R).items():
        assert same(rolled[name], guess(features, class_CD, class_R, 12.0, {name: rollup})[1][name])


def test_threads_and_ranks_leave_no_trace():
    features, class_CD, class_R = embeddings()
    given = (features, class_CD, class_R, 12.0, rollups(class_R))
    before = torch.get_num_threads()
    whole = guess(*given)
    try:
        torch.set_num_threads(3)
        threaded = guess(*given)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert same(whole[0], threaded[0]) and all(same(whole[1][name], threaded[1][name]) for name in whole[1])
    for one in of_two_ranks(lambda share: guess(*given, share=share)):
        assert same(whole[0], one[0]) and all(same(whole[1][name], one[1][name]) for name in whole[1])


def of_two_ranks(work) -> list:
    """What each rank returns where a sum is over what both gave at the same turn: each rank runs twice."""
    given = []
    for rank in (0, 1):
        given.append([])
        work(Share(rank, 2, lambda tensor, mine=given[rank]: (mine.append(tensor.clone()), tensor)[1]))
    turns = [iter([first + second for first, second in zip(*given, strict=True)]) for _ in (0, 1)]
    return [work(Share(rank, 2, lambda tensor, sums=turns[rank]: next(sums))) for rank in (0, 1)]


def test_the_size_of_blocks_leaves_no_trace_in_guesses(monkeypatch):
    features, class_CD, class_R = embeddings()
    given = (features, class_CD, class_R, 12.0, rollups(class_R))
    found, rolled = guess(*given)
    for num_groups in (1, 2 * (3 + CLASSES)):  # one picture at once, and two
        monkeypatch.setattr(module, "_GROUPS_AT_ONCE", num_groups)
        again, rolled_again = guess(*given)
        assert np.array_equal(again.guess_NK, found.guess_NK)
        for name in rolled:
            assert np.array_equal(rolled_again[name].guess_NK, rolled[name].guess_NK)
            assert np.allclose(rolled_again[name].score_NK, rolled[name].score_NK, atol=1e-6)


def test_pairs_are_choices_between_two():
    class_CD = np.eye(4, dtype=np.float32)
    image_ND = unit(np.array([[1, 2, 0, 9], [3, 3, 0, 9], [0, 0, 2, 1], [1, 0, 0, 0]]))
    pair_of_R = [(0, 1), (1, 0), (3, 2), (2, 3), (0, 0)]
    class_R = np.array([0, 1, 2, -1, 0])
    made = guess_pairs(Features(image_ND[:3], np.arange(3), (), ()), class_CD, class_R, pair_of_R, 2.0)
    assert made.guess_NK.tolist() == [[1], [0], [2]] and made.class_N.tolist() == [0, 1, 2]
    assert made.num_near_ties == 1 and made.guess_NK.dtype == np.int64
    assert made.score_NK[:, 0].tolist() == [image_ND[0, 1], image_ND[1, 0], image_ND[2, 2]]
    margin = image_ND[0, 1] - image_ND[0, 0]
    assert made.confidence_N == pytest.approx([1 / (1 + np.exp(-2 * margin)), 0.5, 0.709803], abs=1e-5)
    unlabelled = guess_pairs(Features(image_ND, np.arange(4), (), ()), class_CD, class_R, pair_of_R, 2.0)
    assert unlabelled.row_N.tolist() == [0, 1, 2]


def test_embeddings_that_are_no_numbers_are_a_failure_not_a_guess():
    features, class_CD, class_R = embeddings()
    for broken in (features.image_ND, class_CD):
        kept = broken[2, 3]
        broken[2, 3] = np.nan
        with pytest.raises(WorkFailedError, match="not finite"):
            guess(features, class_CD, class_R, 10.0)
        broken[2, 3] = kept


@pytest.mark.filterwarnings("error")
def test_rows_of_a_mapped_file_are_read_as_they_are(tmp_path):
    features, class_CD, class_R = embeddings()
    np.save(tmp_path / "a.npy", features.image_ND)
    mapped = replace(features, image_ND=np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert same(guess(mapped, class_CD, class_R, 9.0)[0], guess(features, class_CD, class_R, 9.0)[0])
