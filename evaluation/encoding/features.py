"""The pictures of a benchmark as unit embeddings, encoded once for all its tasks.

Shapes: N readable pictures, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Features:
    """Embeddings of the readable pictures, in the order of the rows.

    Attributes:
        image_ND: float32 unit rows; may be mapped from a file.
        row_N: int64, the row of each, ascending.
        missing: rows whose file does not exist.
        unreadable: (row, reason) of files that cannot be decoded.
    """

    image_ND: np.ndarray
    row_N: np.ndarray
    missing: Sequence[int]
    unreadable: Sequence[tuple[int, str]]
