"""Pictures against labels: cosines in float32 by blocks, and the best of them exactly, as evaluation ranks them.

A product in float32 is off by less than a bound that is known, so that the labels that can be among the best are few;
these are computed again in fp64 and rounded to fp32, which is how evaluation scores: the same order, ties to the lower
index.

Shapes: B pictures, D embedding, S labels that take part, P of a block, K guesses, M labels looked at again.
"""

from dataclasses import dataclass

import numpy as np
import torch

from evaluation.scoring.top_guesses import TopGuesses
from taxonomy.errors import WorkFailedError

_LABELS_AT_ONCE = 4_096
"""A block of rows is 8 MB in float32: it stays near the processor where it is made of float16."""
_SCORES_AT_ONCE = 2**24
"""Cosines held at a time: 64 MB."""

_AGAIN_AT_ONCE = 8_192


@dataclass(frozen=True)
class Candidates:
    """The labels that take part.

    Attributes:
        label_CD: unit rows of all labels, float32 or float16, which may be mapped.
        number_S: int64, numbers of those that take part, ascending; None for all.
    """

    label_CD: np.ndarray
    number_S: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label_CD) if self.number_S is None else len(self.number_S)

    def block(self, start: int, stop: int) -> torch.Tensor:
        """Rows of those from `start` to before `stop`, float32 [P, D]."""
        rows = self.label_CD[start:stop] if self.number_S is None else self.label_CD[self.number_S[start:stop]]
        return torch.from_numpy(rows).float()

    def rows(self, index_M: np.ndarray) -> torch.Tensor:
        """Rows of some, fp64 [M, D]."""
        number_M = index_M if self.number_S is None else self.number_S[index_M]
        return torch.from_numpy(self.label_CD[number_M]).double()

    def numbers(self, index_M: np.ndarray) -> np.ndarray:
        """Their numbers in the whole list."""
        return index_M if self.number_S is None else self.number_S[index_M]

    @property
    def pictures_at_once(self) -> int:
        """How many pictures' cosines fit in memory."""
        return max(1, _SCORES_AT_ONCE // len(self))


def cosines(image_BD: np.ndarray, candidates: Candidates) -> np.ndarray:
    """Products [B, S], float32, each within `error_bound` of the exact one.

    Raises:
        WorkFailedError: an embedding of a label holds numbers that are not finite.
    """
    image_DB = torch.from_numpy(image_BD).T.contiguous()
    cosine_SB = torch.empty(len(candidates), image_DB.shape[1])
    for start in range(0, len(candidates), _LABELS_AT_ONCE):
        part_PB = cosine_SB[start : start + _LABELS_AT_ONCE]
        torch.mm(candidates.block(start, start + len(part_PB)), image_DB, out=part_PB)
    if not torch.isfinite(cosine_SB.sum()):
        raise WorkFailedError("embeddings of labels hold numbers that are not finite: make them again in fp32")
    return cosine_SB.T.contiguous().numpy()


def error_bound(width: int) -> float:
    """How far a float32 product of two unit rows of this width can be from the exact one, whatever the order of adding.

    n u / (1 - n u) times the product of the lengths, with u = 2^-24. Rows stored as float16 are unit but for 2^-11.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1.
    """
    rounding = width * 2.0**-24
    return 1.001 * rounding / (1 - rounding)


def exact_best(
    cosine_M: np.ndarray, k: int, image_D: np.ndarray, candidates: Candidates, index_M: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(index_K int64 among the candidates, score_K float32): the best, descending, the lower index first where equal.

    Args:
        cosine_M: float32, as `cosines` gives them.
        k: how many; fewer where there are fewer.
        image_D: the picture.
        candidates: the labels.
        index_M: which of them the cosines are of, ascending; None for all.
    """
    k = min(k, len(cosine_M))
    kth = np.partition(cosine_M, len(cosine_M) - k)[len(cosine_M) - k]
    # those among the best are at most two errors below it, and a rounding on both sides
    shortlist_M = np.flatnonzero(cosine_M >= kth - 2 * (error_bound(len(image_D)) + 2.0**-23))
    index_M = shortlist_M if index_M is None else index_M[shortlist_M]
    image = torch.from_numpy(image_D).double()
    top = TopGuesses(1, k)
    for start in range(0, len(index_M), _AGAIN_AT_ONCE):
        row_MD = candidates.rows(index_M[start : start + _AGAIN_AT_ONCE])
        top.add((row_MD @ image).float()[None], start)
    return index_M[top.index_BK[0].numpy()], top.score_BK[0].numpy()


def best_probabilities(probability_G: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(index_K, probability_K float32) of the best, descending, the lower index first where equal."""
    top = TopGuesses(1, k)
    top.add(torch.from_numpy(probability_G.astype(np.float32))[None], 0)
    return top.index_BK[0].numpy(), top.score_BK[0].numpy()
