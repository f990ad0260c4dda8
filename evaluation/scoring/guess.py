"""Embeddings of pictures and classes -> the best guesses, exactly, in bounded memory.

Scores are computed in blocks of pictures and classes whose sizes depend on nothing but the sizes of the data, each
block by one thread, in fp64, and rounded to fp32 before they are compared: equal vectors have equal scores, and number
of threads and ranks leave no trace in the result.

Shapes: N pictures, D embedding, C classes, R rows of the benchmark, K guesses, B pictures of a block, P classes of a
block, G groups of a roll-up.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from evaluation.distributed import ALONE, Share
from evaluation.encoding.features import Features
from evaluation.scoring.predictions import Predictions
from evaluation.scoring.rollup_sums import Rollup, RollupSums
from evaluation.scoring.top_guesses import TopGuesses
from taxonomy.errors import WorkFailedError

NEAR_TIE = 1e-5
"""Best scores closer than this may change places between machines. Source: docs/design.md, Same numbers everywhere."""

NUM_GUESSES = 5
"""Best classes kept of every picture, as far as there are so many."""

_PICTURES_AT_ONCE = 256
_CLASSES_AT_ONCE = 4096
"""A block of scores is 8 MB in fp64: it stays near the processor."""

_GROUPS_AT_ONCE = 2**22
"""Sums of roll-ups in one block: 32 MB."""


def guess(
    features: Features,
    class_CD: np.ndarray,
    class_R: np.ndarray,
    scale: float,
    rollups: Mapping[str, Rollup] = MappingProxyType({}),
    share: Share = ALONE,
) -> tuple[Predictions, dict[str, Predictions]]:
    """The best classes of every picture with a label, and name -> those of every roll-up, from one pass.

    A roll-up is the softmax over the classes, summed by group; its scores are probabilities. The bytes are the same on
    every rank.

    Args:
        features: the pictures.
        class_CD: float32 unit rows.
        class_R: int64, index of each row's class; -1 where its label is missing.
        scale: what cosines are multiplied with before the softmax.
        rollups: each with its groups of classes and the right group of every row.
        share: this rank's part.

    Raises:
        WorkFailedError: an embedding holds numbers that are not finite.
    """
    image_ND, row_N = _tensor(features.image_ND, "pictures"), features.row_N
    classes = _Classes(_tensor(class_CD, "classes"), scale, tuple(rollups.values()))
    found = [_Found.empty(len(image_ND), min(NUM_GUESSES, num)) for num in classes.list_lengths]
    step = classes.pictures_at_once
    starts = range(0, len(image_ND), step)[share.rank :: share.size]
    with _one_thread_each() as threads:
        blocks = threads.map(lambda start: classes.best(image_ND[start : start + step]), starts)
        for start, block in zip(starts, blocks, strict=True):
            for whole, part in zip(found, block, strict=True):
                whole.put(start, part)
    first, *others = [whole.summed(share).predictions for whole in found]
    rolled = zip(rollups.items(), others, strict=True)
    return first(row_N, class_R), {name: predictions(row_N, one.class_R) for (name, one), predictions in rolled}


def guess_pairs(
    features: Features, class_CD: np.ndarray, class_R: np.ndarray, pair_of_R: Sequence[tuple[int, int]], scale: float
) -> Predictions:
    """The better of two classes for every picture with a label; K = 1, a guess is the index of its class.

    Args:
        features: as in guess.
        class_CD: as in guess.
        class_R: as in guess.
        pair_of_R: per row the two classes to choose between; on equal scores the lower index is guessed.
        scale: as in guess.

    Raises:
        WorkFailedError: as guess.
    """
    row_N = features.row_N
    pair_N2 = np.sort(np.asarray(pair_of_R, np.int64).reshape(-1, 2)[row_N], axis=1)
    image_N1D = _tensor(features.image_ND, "pictures").double()[:, None]
    class_N2D = _tensor(class_CD, "classes")[torch.from_numpy(pair_N2)].double()
    score_N2 = (image_N1D * class_N2D).sum(2).float().numpy()
    best_N1 = (score_N2[:, 1:] > score_N2[:, :1]).astype(np.int64)
    margin_N = np.abs(score_N2[:, 0] - score_N2[:, 1])
    confidence_N = 1 / (1 + np.exp(-scale * margin_N.astype(np.float64)))
    found = _Found(
        torch.from_numpy(np.take_along_axis(pair_N2, best_N1, 1)),
        torch.from_numpy(np.take_along_axis(score_N2, best_N1, 1)),
        torch.from_numpy(confidence_N.astype(np.float32)),
        torch.from_numpy((margin_N < NEAR_TIE).astype(np.int64)),
    )
    return found.predictions(row_N, class_R)


@dataclass(frozen=True)
class _Found:
    """Guesses of all pictures, or of those of one block: tensors that can be summed over ranks."""

    guess_NK: torch.Tensor
    score_NK: torch.Tensor
    confidence_N: torch.Tensor
    is_near_tie_N: torch.Tensor

    @classmethod
    def empty(cls, num: int, k: int) -> "_Found":
        whole, real = torch.int64, torch.float32
        shapes = (((num, k), whole), ((num, k), real), ((num,), real), ((num,), whole))
        return cls(*(torch.zeros(shape, dtype=dtype) for shape, dtype in shapes))

    def put(self, start: int, part: "_Found") -> None:
        for whole, piece in zip(vars(self).values(), vars(part).values(), strict=True):
            whole[start : start + len(piece)] = piece

    def summed(self, share: Share) -> "_Found":
        # every row is zero on all ranks but one
        return _Found(*(share.sum_over_ranks(whole) for whole in vars(self).values()))

    def predictions(self, row_N: np.ndarray, class_R: np.ndarray) -> Predictions:
        """Guesses of the pictures whose row has a label."""
        class_N = np.asarray(class_R)[row_N]
        has_label_N = class_N >= 0
        guess_NK, score_NK, confidence_N, is_near_tie_N = (
            whole.cpu().numpy()[has_label_N] for whole in vars(self).values()
        )
        rows = row_N[has_label_N], class_N[has_label_N]
        return Predictions(*rows, guess_NK, score_NK, confidence_N, int(is_near_tie_N.sum()))


@dataclass(frozen=True)
class _Classes:
    """What a block of pictures is compared with."""

    class_CD: torch.Tensor
    scale: float
    rollups: tuple[Rollup, ...]

    @property
    def list_lengths(self) -> list[int]:
        """Classes to choose from: all, then the groups of every roll-up."""
        return [len(self.class_CD), *(rollup.num_classes for rollup in self.rollups)]

    @property
    def pictures_at_once(self) -> int:
        num_groups = sum(rollup.num_classes for rollup in self.rollups)
        return max(1, min(_PICTURES_AT_ONCE, _GROUPS_AT_ONCE // max(1, num_groups)))

    def best(self, image_BD: torch.Tensor) -> list[_Found]:
        """Guesses of these pictures, one for each of `list_lengths`."""
        image_BD = image_BD.double()
        top = TopGuesses(len(image_BD), NUM_GUESSES)
        sums = RollupSums(len(image_BD), self.rollups)
        for start in range(0, len(self.class_CD), _CLASSES_AT_ONCE):
            class_PD = self.class_CD[start : start + _CLASSES_AT_ONCE].double()
            score_BP = (image_BD @ class_PD.T).float()
            peak_B = top.add(score_BP, start)
            sums.add(score_BP.sub_(peak_B[:, None]).mul_(self.scale).exp_(), peak_B.double() * self.scale, start)
        found = [_Found(top.index_BK, top.score_BK, sums.best_B, _near_ties(top.score_BK))]
        for probability_BG in sums.probabilities():
            top = TopGuesses(len(image_BD), NUM_GUESSES)
            top.add(probability_BG, 0)
            found.append(_Found(top.index_BK, top.score_BK, top.score_BK[:, 0], _near_ties(top.score_BK)))
        return found


def _near_ties(score_BK: torch.Tensor) -> torch.Tensor:
    """int64 [B], 1 where the two best scores are close."""
    if score_BK.shape[1] < 2:
        return torch.zeros(len(score_BK), dtype=torch.int64)
    return (score_BK[:, 0] - score_BK[:, 1] < NEAR_TIE).long()


def _tensor(rows: np.ndarray, what: str) -> torch.Tensor:
    """The rows as fp32, without a copy."""
    rows = np.asarray(rows, np.float32)
    for start in range(0, len(rows), 65536):
        if not np.isfinite(rows[start : start + 65536]).all():
            raise WorkFailedError(f"embeddings of {what} hold numbers that are not finite; try --precision fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rows of a mapped file must not be written; they are not
        return torch.from_numpy(rows)


@contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch uses, each computing alone: a product split over threads may round differently."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,)) as threads:
            yield threads
    finally:
        torch.set_num_threads(num_threads)
