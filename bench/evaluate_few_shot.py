"""The nearest class mean of a few pictures: ours, and the published form that subtracts each mean from each query.

Shapes: Q queries, S support pictures, C classes, D embedding.
"""

from __future__ import annotations

import time

import numpy as np

from bench.evaluate import Figure
from evaluation.metrics.few_shot import nearest_mean

GOAL_TIMES = 100


def measure_few_shot(num_classes: int, num_queries: int, width: int, shots: int = 5) -> list[Figure]:
    """Core-seconds of both for one fold; they must guess the same.

    The published form holds C x Q x D numbers two or three times over: 400 x 4,000 x 512 needs 10 GB.
    """
    random = np.random.default_rng(0)
    centre_CD = random.standard_normal((num_classes, width), np.float32)
    class_S = np.repeat(np.arange(num_classes), shots)
    class_Q = random.integers(num_classes, size=num_queries)
    image_ND = centre_CD[np.concatenate([class_S, class_Q])]
    image_ND += 3 * random.standard_normal(image_ND.shape, np.float32)
    support, queries = np.arange(len(class_S)), np.arange(len(class_S), len(image_ND))
    # the faster one is timed over several turns, the first of them not counted
    nearest_mean(image_ND, support, class_S, queries)
    start_s = time.process_time()
    for _ in range(5):
        own_Q = nearest_mean(image_ND, support, class_S, queries)
    own_s = (time.process_time() - start_s) / 5
    start_s = time.process_time()
    peer_Q = _by_subtraction(image_ND, class_S, support, queries)
    peer_s = time.process_time() - start_s
    same = float((own_Q == peer_Q).mean())
    assert same > 0.999, f"only {same:.1%} of the guesses agree"
    what = f"{shots} shots, {num_classes} classes x {num_queries:,} queries x {width}"
    return [
        Figure(f"{what}: by subtraction", f"{peer_s:.2f} core-s"),
        Figure(f"{what}: ours ({same:.2%} of the guesses agree)", f"{own_s:.3f} core-s"),
        Figure(f"{what}: times faster", f"{peer_s / own_s:.0f}", f">= {GOAL_TIMES}", peer_s >= GOAL_TIMES * own_s),
    ]


def _by_subtraction(image_ND: np.ndarray, class_S: np.ndarray, support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """int64 [Q], the class whose mean is nearest, from differences [C, Q, D], fp32, after the same CL2N."""
    centre_D = image_ND[support].mean(0)
    unit_SD, unit_QD = (_unit(image_ND[numbers] - centre_D) for numbers in (support, queries))
    mean_CD = np.stack([unit_SD[class_S == number].mean(0) for number in np.unique(class_S)])
    difference_CQD = mean_CD[:, None] - unit_QD
    return np.linalg.norm(difference_CQD, 2, axis=-1).argmin(0)


def _unit(row_XD: np.ndarray) -> np.ndarray:
    return row_XD / np.linalg.norm(row_XD, axis=1, keepdims=True)
