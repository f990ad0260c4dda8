"""The best k of scores that come in blocks, exact also where scores are equal.

Shapes: B pictures, P classes of a block, K guesses.
"""

import torch


class TopGuesses:
    """The best scores so far, descending, with their indices; on equal scores the lower index comes first.

    Attributes:
        score_BK: of the scores' type; K = min(k, classes seen).
        index_BK: int64.
    """

    def __init__(self, num_pictures: int, k: int, dtype: torch.dtype = torch.float32):
        self.k = k
        self.score_BK = torch.empty(num_pictures, 0, dtype=dtype)
        self.index_BK = torch.empty(num_pictures, 0, dtype=torch.int64)

    def add(self, score_BP: torch.Tensor, start: int) -> torch.Tensor:
        """The best score [B] so far, with those of the classes from `start` on, which come in ascending order."""
        index_BK = _best(score_BP, min(self.k, score_BP.shape[1]))
        scores = torch.cat([self.score_BK, score_BP.gather(1, index_BK)], 1)
        # stable: what was seen before has lower indices and stays in front
        order = scores.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        self.score_BK = scores.gather(1, order)
        self.index_BK = torch.cat([self.index_BK, index_BK + start], 1).gather(1, order)
        return self.score_BK[:, 0]


def _best(score_BP: torch.Tensor, k: int) -> torch.Tensor:
    """Indices of the best k of every row, ascending; of scores equal to the last of them the lowest indices."""
    value_BK, index_BK = score_BP.topk(k)
    is_tied_B = (score_BP >= value_BK[:, -1:]).sum(1) > k
    if is_tied_B.any():
        index_BK[is_tied_B] = score_BP[is_tied_B].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return index_BK.sort(1).values
