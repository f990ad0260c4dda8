"""Linear probe: logistic regression on frozen embeddings, from a few pictures of each class and from most of them.

Embeddings are standardised by mean and deviation of the pictures learnt from; L2 penalty with C = 1.0.

Shapes: N pictures with a label, S pictures learnt from, Q queries, D embedding.

Source: docs/design.md, Few-shot and probe.
"""

import logging
import warnings
from typing import Any

import numpy as np

from evaluation.metrics.few_shot import mean_and_std, over_folds
from evaluation.metrics.splits import Split, deal

_LOG = logging.getLogger(__name__)

MIN_PER_CLASS = 10
"""Pictures that every class needs for the stratified folds."""

_MAX_ITERATIONS = 1000


def linear_probe(image_ND: np.ndarray, split: Split, k: int = 5) -> dict[str, Any]:
    """JSON-able: `few_shot` as few_shot.over_folds returns it, and `stratified` {top1 {mean, std, folds}} or null.

    `stratified` learns from all folds but one and is tested on that one, in turn; null where a class has fewer than 10
    pictures or there is only one class. It has as many folds as the split.

    Args:
        image_ND: float32 embeddings; may be mapped from a file.
        split: of the same pictures.
        k: pictures of each class to learn from.
    """
    few = over_folds(split, k, lambda *args: predict(image_ND, *args))
    return {
        "method": "logistic regression, L2, C = 1.0, standardised embeddings",
        "k": k,
        "split_sha256": split.sha256,
        "few_shot": few,
        "stratified": _stratified(image_ND, split),
    }


def _stratified(image_ND: np.ndarray, split: Split) -> dict[str, Any] | None:
    class_N, folds = split.class_N, split.num_folds
    count_C = np.unique(class_N, return_counts=True)[1]
    if len(count_C) < 2 or count_C.min() < MIN_PER_CLASS:
        return None
    fold_N = deal(class_N, split.keys, folds)
    shares = []
    for fold in range(folds):
        learnt, tested = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
        guess_Q = predict(image_ND, learnt, class_N[learnt], tested)
        shares.append(float(np.mean(guess_Q == class_N[tested])))
    return {"top1": mean_and_std(shares), "num_classes": len(count_C), "num_images": len(class_N)}


def predict(image_ND: np.ndarray, support: np.ndarray, class_S: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """int64 [Q], class per query of a regression fitted to the support; of one class alone that class.

    Args:
        image_ND: embeddings of all pictures.
        support: numbers of the pictures learnt from.
        class_S: their classes.
        queries: numbers of the pictures tested.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(class_S)) == 1:
        return np.full(len(queries), class_S[0], np.int64)
    scaler = StandardScaler()
    support_SD = scaler.fit_transform(image_ND[support].astype(np.float64))
    regression = LogisticRegression(C=1.0, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said in one line below
        regression.fit(support_SD, class_S)
    if regression.n_iter_.max() >= _MAX_ITERATIONS:
        _LOG.warning("linear probe: not converged after %d iterations", _MAX_ITERATIONS)
    return np.asarray(regression.predict(scaler.transform(image_ND[queries].astype(np.float64))), np.int64)
