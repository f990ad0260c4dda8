"""Embeddings of pictures -> guesses at a rank, with probabilities over the labels that take part.

Shapes: B pictures, D embedding, C labels, S of them that take part, G taxa of a rank.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inference.labels.lineage_groups import Groups
from inference.predict.guess import FROM_DEEPEST, LABEL, Guess
from inference.predict.scores import Candidates, best_probabilities, cosines, exact_best


@dataclass(frozen=True)
class Question:
    """What is asked of every picture.

    Attributes:
        rank: of the guesses, or the deepest one if `min_confidence` is given.
        top_k: guesses of a picture.
        min_confidence: answer at the deepest rank whose best probability is at least this; None does not back off.
    """

    rank: str = LABEL
    top_k: int = 5
    min_confidence: float | None = None


@dataclass(frozen=True)
class _Taxa:
    """The taxa of a rank that have labels that take part.

    Attributes:
        slot_S: int64, the taxon of each label, from 1; 0 where it is not known.
        number_G: int64, the number of each among all taxa of the rank.
    """

    slot_S: np.ndarray
    number_G: np.ndarray

    @classmethod
    def of(cls, groups: Groups, number_S: np.ndarray | None) -> "_Taxa":
        if number_S is None:
            return cls(groups.code_C.astype(np.int64) + 1, np.arange(len(groups.first_G)))
        code_S = groups.code_C[number_S]
        present = np.unique(code_S[code_S >= 0])
        return cls(np.where(code_S >= 0, np.searchsorted(present, code_S) + 1, 0), present)


class Predictor:
    """Answers a question about pictures, one batch of embeddings after the other."""

    def __init__(self, candidates: Candidates, groups: Mapping[str, Groups], scale: float, question: Question):
        """Number the taxa of the ranks that may be answered with.

        Args:
            candidates: the labels that take part.
            groups: rank -> taxa of all labels.
            scale: what cosines are multiplied with before the softmax.
            question: what is asked.
        """
        self._candidates, self._scale, self._question = candidates, scale, question
        start = FROM_DEEPEST.index(question.rank)
        ranks = FROM_DEEPEST[start:] if question.min_confidence is not None else (question.rank,)
        self._ranks = [rank for rank in ranks if rank == LABEL or rank in groups]
        self._taxa = {rank: _Taxa.of(groups[rank], candidates.number_S) for rank in self._ranks if rank != LABEL}

    def answers(self, image_ND: np.ndarray) -> Iterator[Sequence[Guess]]:
        """The guesses for each picture, best first; none where backing off ends nowhere."""
        step = self._candidates.pictures_at_once
        for start in range(0, len(image_ND), step):
            image_BD = np.ascontiguousarray(image_ND[start : start + step], np.float32)
            for image_D, cosine_S in zip(image_BD, cosines(image_BD, self._candidates), strict=True):
                yield self._answer(_Softmax(image_D, cosine_S, self._scale))

    def _answer(self, softmax: "_Softmax") -> Sequence[Guess]:
        least, k = self._question.min_confidence, self._question.top_k
        for rank in self._ranks:
            found = self._labels(softmax, k) if rank == LABEL else self._groups(softmax, rank, k)
            if found and (least is None or found[0].probability >= least):
                return found
        return ()

    def _labels(self, softmax: "_Softmax", k: int) -> list[Guess]:
        index_K, score_K = exact_best(softmax.cosine_S, k, softmax.image_D, self._candidates)
        rows = zip(self._candidates.numbers(index_K).tolist(), softmax.probability(score_K), score_K, strict=True)
        return [Guess(LABEL, number, float(probability), float(score)) for number, probability, score in rows]

    def _groups(self, softmax: "_Softmax", rank: str, k: int) -> list[Guess]:
        taxa = self._taxa[rank]
        if not len(taxa.number_G):
            return []
        sum_G = np.bincount(taxa.slot_S, softmax.exp_S, len(taxa.number_G) + 1)[1:]
        sum_G = np.minimum(sum_G / softmax.total, 1)
        index_K, probability_K = best_probabilities(sum_G, k)
        found = []
        for index, probability in zip(index_K.tolist(), probability_K, strict=True):
            member_M = np.flatnonzero(taxa.slot_S == index + 1)
            _, score = exact_best(softmax.cosine_S[member_M], 1, softmax.image_D, self._candidates, member_M)
            found.append(Guess(rank, int(taxa.number_G[index]), float(probability), float(score[0])))
        return found


@dataclass(frozen=True)
class _Softmax:
    """One picture's probabilities, as far as they are asked for; fp32 terms, fp64 sums, as in evaluation."""

    image_D: np.ndarray
    cosine_S: np.ndarray
    scale: float

    @cached_property
    def peak(self) -> np.float32:
        return self.cosine_S.max()

    @cached_property
    def exp_S(self) -> np.ndarray:
        return np.exp((self.cosine_S - self.peak) * np.float32(self.scale))

    @cached_property
    def total(self) -> float:
        return float(self.exp_S.sum(dtype=np.float64))

    def probability(self, score_K: np.ndarray) -> np.ndarray:
        """Of labels with these cosines, at most 1."""
        term_K = np.exp((score_K.astype(np.float64) - float(self.peak)) * self.scale)
        return np.minimum(term_K / self.total, 1).astype(np.float32)
