"""Sums of a softmax over groups of classes, while the classes come in blocks.

Shapes: B pictures, P classes of a block, C classes, R rows of the benchmark, G groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Rollup:
    """One rank's groups of the classes.

    Attributes:
        code_C: int64, the group of each class; -1 for a class whose name at the rank is unknown: its probability goes
            to no group.
        class_R: int64, the right group of every row; -1 where it is unknown.
        num_classes: groups.
    """

    code_C: np.ndarray
    class_R: np.ndarray
    num_classes: int


class RollupSums:
    """Softmax sums of every roll-up and of all classes, in fp64, relative to the best score so far."""

    def __init__(self, num_pictures: int, rollups: Sequence[Rollup]):
        self._peak_B = torch.full((num_pictures,), -torch.inf, dtype=torch.float64)
        self._total_B = torch.zeros(num_pictures, dtype=torch.float64)
        # unknown names have a group of their own, behind the others
        codes = [torch.from_numpy(np.asarray(rollup.code_C, np.int64)) for rollup in rollups]
        self._codes = [code_C.where(code_C >= 0, one.num_classes) for code_C, one in zip(codes, rollups, strict=True)]
        self._sums = [torch.zeros(one.num_classes + 1, num_pictures, dtype=torch.float64) for one in rollups]

    def add(self, exp_BP: torch.Tensor, peak_B: torch.Tensor, start: int) -> None:
        """Take in a block.

        Args:
            exp_BP: float32, exp(logit - peak).
            peak_B: float64, the best logit so far.
            start: index of the block's first class.
        """
        shrink_B = torch.exp(self._peak_B - peak_B)
        self._peak_B = peak_B
        self._total_B = self._total_B * shrink_B + exp_BP.sum(1, dtype=torch.float64)
        if not self._sums:
            return
        exp_PB = exp_BP.T.double().contiguous()
        for code_C, sum_GB in zip(self._codes, self._sums, strict=True):
            sum_GB.mul_(shrink_B).index_add_(0, code_C[start : start + len(exp_PB)], exp_PB)

    @property
    def best_B(self) -> torch.Tensor:
        """Softmax probability of the best class, float32."""
        return (1 / self._total_B).float()

    def probabilities(self) -> Iterator[torch.Tensor]:
        """The sums of every roll-up as shares of all, float32 [B, G]."""
        for sum_GB in self._sums:
            yield (sum_GB[:-1] / self._total_B).T.float().contiguous()
