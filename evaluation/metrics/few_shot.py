"""Few-shot classification: the nearest class mean of a few labelled pictures each (SimpleShot, CL2N).

Embeddings are centred by the mean of the support and scaled to length 1; a picture belongs to the class whose mean of
support embeddings is nearest. Distances come from one matrix product: |q - m|^2 grows as |m|^2 / 2 - q.m does.

Shapes: N pictures with a label, Q queries, S = classes x k support pictures, C classes kept, D embedding.

Source: Wang et al. 2019, SimpleShot, arXiv 1911.04623; docs/design.md, Few-shot and probe.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evaluation.metrics.splits import Split

_QUERIES_AT_ONCE = 4096
"""Bounds memory whatever the benchmark's size, and keeps the arithmetic the same for all of them."""


def few_shot(image_ND: np.ndarray, split: Split) -> dict[str, Any]:
    """JSON-able: the split's sha256, and per number of shots what `over_folds` returns.

    Args:
        image_ND: float32 embeddings; may be mapped from a file.
        split: of the same pictures; a class without k + 1 pictures is left out and counted.
    """
    shots = {str(k): over_folds(split, k, lambda *args: nearest_mean(image_ND, *args)) for k in split.ks}
    return {"method": "nearest class mean, CL2N", "split_sha256": split.sha256, "shots": shots}


Guesser = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(support pictures, their classes, query pictures), pictures by number -> int64 class per query."""


def over_folds(split: Split, k: int, guess: Guesser) -> dict[str, Any]:
    """JSON-able: top1 {mean, std, folds} beside the counts; null where fewer than two classes are left.

    `std` is that of the folds themselves (divided by their number), as published few-shot tables give it.
    `num_classes_left_out` counts the classes with pictures, but too few.
    """
    num_kept = int(split.is_kept_C(k).sum())
    shares = []
    for fold in range(split.num_folds):
        support, queries = split.support(fold, k), split.queries(fold, k)
        if num_kept > 1:
            guess_Q = guess(support, split.class_N[support], queries)
            shares.append(float(np.mean(guess_Q == split.class_N[queries])))
    return {
        "top1": mean_and_std(shares),
        "num_classes": num_kept,
        "num_classes_left_out": len(np.unique(split.class_N)) - num_kept,
        "num_support": len(split.support(0, k)),
        "num_queries": len(split.queries(0, k)),
    }


def mean_and_std(shares: Sequence[float]) -> dict[str, Any]:
    """JSON-able: mean, std (divided by the number of shares) and the shares as `folds`; null of nothing."""
    known = {"mean": float(np.mean(shares)), "std": float(np.std(shares))} if shares else {"mean": None, "std": None}
    return known | {"folds": list(shares)}


def nearest_mean(image_ND: np.ndarray, support: np.ndarray, class_S: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """int64 [Q], class of the nearest mean of support embeddings after CL2N; ties go to the lower class index.

    fp64, because the means of like classes lie close: the result is that of the distances themselves.

    Args:
        image_ND: embeddings of all pictures.
        support: numbers of the pictures learnt from.
        class_S: their classes.
        queries: numbers of the pictures tested.
    """
    support_SD = image_ND[support].astype(np.float64)
    centre_D = support_SD.mean(0)
    names_C, row_S, count_C = np.unique(class_S, return_inverse=True, return_counts=True)
    mean_CD = np.zeros((len(names_C), support_SD.shape[1]))
    np.add.at(mean_CD, row_S, _unit(support_SD - centre_D))
    mean_CD /= count_C[:, None]
    half_C = (mean_CD**2).sum(1) / 2
    guess_Q = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = queries[start : start + _QUERIES_AT_ONCE]
        query_QD = _unit(image_ND[part].astype(np.float64) - centre_D)
        guess_Q[start : start + len(part)] = names_C[np.argmax(query_QD @ mean_CD.T - half_C, axis=1)]
    return guess_Q


def _unit(row_XD: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row that is its support's mean stays zero."""
    length_X1 = np.linalg.norm(row_XD, axis=1, keepdims=True)
    return row_XD / np.where(length_X1 > 0, length_X1, 1)
