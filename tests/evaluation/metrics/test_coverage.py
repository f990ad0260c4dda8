"""How often the intervals of accuracies hold the truth, by simulation over the sizes of the nine benchmarks.

Shapes: R replicates, C classes.
"""

import numpy as np
import pytest
from scipy.stats import beta

from evaluation.metrics.intervals import accuracy_half_width, balanced_half_width
from evaluation.metrics.paired import differences

REPLICATES = 4000
SEED = 20

SIZES = {
    "biotrove_balanced": np.repeat([50, 49], [1812, 441]),  # 112,209 pictures, at most 50 each
    "biotrove_lifestages": np.tile([50, 50, 15, 5], 5),
    "biotrove_unseen": np.full(300, 10),
    "bioclip_rare": np.repeat([30, 29, 27, 21], [395, 2, 2, 1]),
    "birds525": np.repeat([171, 172], [415, 110]),  # 89,885 pictures, evenly
    "confounding": np.full(10, 10),
    "deepweeds": np.array([1125, 1064, 1031, 1022, 1062, 1009, 1074, 1016, 9106]),
    "fungi": np.full(25, 40),
    "insects2": np.full(102, 40),
}
"""Pictures per class; of the published lists, and even where only totals are published."""

LARGE = ("biotrove_balanced", "bioclip_rare", "birds525", "biotrove_unseen")
MEANS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)

FALLS_SHORT = {("biotrove_lifestages", "balanced"): 0.925}
"""Where the formula does not reach 93.5 %, and what is asked there: the eggs' classes have 5 pictures, and with an
accuracy of 0.5 in all classes 93.2 % are covered (100,000 replicates)."""


def true_shares(mean: float, num_classes: int, are_varied: bool) -> np.ndarray:
    """Each class's share of right pictures: the same, or spread as a beta distribution of variance mean(1-mean)/5."""
    if not are_varied:
        return np.full(num_classes, mean)
    spread_C = beta.ppf((np.arange(num_classes) + 0.5) / num_classes, 4 * mean, 4 * (1 - mean))
    return np.random.default_rng(SEED).permutation(spread_C)


def right_counts(shown_C: np.ndarray, share_C: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    columns = [rng.binomial(n, p, size=REPLICATES) for n, p in zip(shown_C, share_C, strict=True)]
    return np.stack(columns, 1)


def coverages(shown_C: np.ndarray, share_C: np.ndarray) -> dict[str, tuple[float, float]]:
    """Metric -> (truth, share of replicates whose interval holds it)."""
    top1, balanced = (share_C * shown_C).sum() / shown_C.sum(), share_C.mean()
    num_held = np.zeros(2)
    for right_RC in np.array_split(right_counts(shown_C, share_C), 20):  # in the processor's cache: twice as fast
        top1_R, balanced_R = right_RC.sum(1) / shown_C.sum(), (right_RC / shown_C).mean(1)
        num_held[0] += (abs(top1_R - top1) <= accuracy_half_width(right_RC, shown_C)).sum()
        num_held[1] += (abs(balanced_R - balanced) <= balanced_half_width(right_RC, shown_C)).sum()
    return {"top1": (top1, num_held[0] / REPLICATES), "balanced": (balanced, num_held[1] / REPLICATES)}


def check_coverage(name: str, means: tuple[float, ...], kinds: tuple[bool, ...] = (False, True)) -> None:
    shown_C = SIZES[name]
    for mean in means:
        for are_varied in kinds:
            share_C = true_shares(mean, len(shown_C), are_varied)
            for metric, (truth, coverage) in coverages(shown_C, share_C).items():
                is_bounded_above = shown_C.min() >= 40 and 0.2 <= round(truth, 6) <= 0.8
                low = FALLS_SHORT.get((name, metric), 0.935)
                assert low <= coverage <= (0.97 if is_bounded_above else 1), (name, metric, truth, are_varied, coverage)


@pytest.mark.parametrize("name", [name for name in SIZES if name not in LARGE])
def test_95_percent_intervals_cover_as_often_as_they_say(name):
    check_coverage(name, MEANS)


@pytest.mark.parametrize("name", LARGE)
def test_they_do_so_with_hundreds_of_classes(name):
    check_coverage(name, (0.5,), (False,))


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_they_do_so_with_hundreds_of_classes_at_every_accuracy(name):
    check_coverage(name, MEANS)


SHARES = [(0.4, 0.3), (0.3, 0.1), (0.1, 0.05)]
"""Of pictures that one of two models alone gets right."""


@pytest.mark.parametrize("name", ["biotrove_lifestages", "biotrove_unseen", "deepweeds", "fungi"])
@pytest.mark.parametrize("shares", SHARES)
def test_intervals_of_differences_of_two_models_cover_as_often_as_they_say(name, shares):
    shown_C, draws = SIZES[name], 1000
    rng = np.random.default_rng(SEED)
    share_C3 = rng.dirichlet([10 * shares[0], 10 * shares[1], 10 * (1 - sum(shares))], len(shown_C))
    count_RC3 = rng.multinomial(shown_C, share_C3, size=(draws, len(shown_C)))
    gap_C = share_C3[:, 0] - share_C3[:, 1]
    truths = (gap_C * shown_C).sum() / shown_C.sum(), gap_C.mean()
    made = differences(count_RC3[..., 0], count_RC3[..., 1], np.broadcast_to(shown_C, count_RC3.shape[:2]))
    for truth, (gap_R, half_R) in zip(truths, made, strict=True):
        assert 0.93 <= (abs(gap_R - truth) <= half_R).mean() <= 0.975
