"""What a model said about every picture of one task. NumPy only.

Shapes: N pictures, K guesses kept.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """The best guesses for the readable pictures that have a label, in the order of the rows.

    Attributes:
        row_N: int64, row of the benchmark, ascending.
        class_N: int64, index of the right class.
        guess_NK: int64, the best classes, best first; on equal scores the lower index first. K = min(5, classes).
        score_NK: float32, their cosines (for roll-ups: their probabilities), descending.
        confidence_N: float32, softmax probability of the first guess at the protocol's logit scale.
        num_near_ties: pictures whose two best scores differ by less than 1e-5.
    """

    row_N: np.ndarray
    class_N: np.ndarray
    guess_NK: np.ndarray
    score_NK: np.ndarray
    confidence_N: np.ndarray
    num_near_ties: int

    def __len__(self) -> int:
        return len(self.row_N)

    @property
    def is_right_N(self) -> np.ndarray:
        """bool, whether the first guess is the right class."""
        return self.guess_NK[:, 0] == self.class_N

    def kept(self, is_kept_N: np.ndarray) -> "Predictions":
        """The guesses for some of the pictures; near ties are counted among all as before."""
        return Predictions(
            self.row_N[is_kept_N],
            self.class_N[is_kept_N],
            self.guess_NK[is_kept_N],
            self.score_NK[is_kept_N],
            self.confidence_N[is_kept_N],
            self.num_near_ties,
        )

    def counts(self, k: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """(right_C, shown_C), int64: pictures per class whose class is among the first k guesses, and all."""
        is_right_N = (self.guess_NK[:, :k] == self.class_N[:, None]).any(1)
        right_C = np.bincount(self.class_N[is_right_N], minlength=num_classes)
        return right_C, np.bincount(self.class_N, minlength=num_classes)
