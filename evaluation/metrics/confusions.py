"""Which classes are taken for which, and how well each is found.

Shapes: N pictures, C classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

TOP_PAIRS = 50
"""Pairs reported."""


def confused_pairs(
    class_N: np.ndarray, guess_N: np.ndarray, class_names: Sequence[str], top: int = TOP_PAIRS
) -> list[dict[str, Any]]:
    """The most frequent wrong guesses, one dict each: true, guessed, count, and the share of the true class's pictures.

    Most frequent first, then the larger share, then the order of the class list.

    Args:
        class_N: int64, the right class.
        guess_N: int64, the first guess.
        class_names: C names.
        top: pairs at most.
    """
    is_wrong_N = guess_N != class_N
    key, count = np.unique(class_N[is_wrong_N] * len(class_names) + guess_N[is_wrong_N], return_counts=True)
    true, guessed = np.divmod(key, max(1, len(class_names)))
    share = count / np.bincount(class_N, minlength=len(class_names))[true]
    order = np.lexsort((guessed, true, -share, -count))[:top]
    rows = zip(*(column[order].tolist() for column in (true, guessed, count, share)), strict=True)
    return [{"true": class_names[t], "guessed": class_names[g], "count": n, "share": s} for t, g, n, s in rows]


def per_class(right_C: np.ndarray, shown_C: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """One dict per class, in the order of the class list: name, n, right, and recall, None where n is 0.

    Args:
        right_C: int64, right pictures per class.
        shown_C: int64, pictures per class.
        class_names: C names.
    """
    return [
        {"name": name, "n": n, "right": right, "recall": right / n if n else None}
        for name, right, n in zip(class_names, right_C.tolist(), shown_C.tolist(), strict=True)
    ]
