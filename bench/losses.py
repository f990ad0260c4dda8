"""Compares the losses of trainer/steps/loss.py at equal steps on a toy problem with a long tail.

    python -m bench.losses [--seeds 5] [--steps 320]

100 species in 20 genera, the commonest far commoner than the rarest, batches of 512 pairs with one of 3 caption kinds
each: nearly every image of a batch has others of its species there, which `infonce` calls negatives. Per seed both
losses get the same starting weights, the same batches in the same order and the same settings; only the loss differs.
Measured where every image is seen once, and where few images are seen again and again, because the answers differ.
Prints balanced zero-shot accuracy on held-out images, over all species and over the rarer half, and the mean
difference with a paired 95 % interval over seeds, whatever it says. Small models on made-up data: a direction at most.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.losses_toy import ToyProblem, ToyTowers, TrainOptions, balanced_accuracy, train

LOSSES = ("infonce", "multi_positive")
GROUPS = ("all species", "rarer half")
STUDENT_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)
"""Student's t, 97.5 % point, for 1, 2, ... degrees of freedom. Source: NIST/SEMATECH e-Handbook, 1.3.6.7.2."""
MAX_SEEDS = len(STUDENT_T_975) + 1


@dataclass(frozen=True)
class Difference:
    """A mean over seeds of paired differences, with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """In points, signed, and what it says."""
        verdict = "no difference shown" if self.low <= 0 <= self.high else "better" if self.mean > 0 else "worse"
        return f"{100 * self.mean:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f}), {verdict}"


def paired_difference(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Of `values` to `baseline`, seed by seed; at least 2 and at most MAX_SEEDS.

    Source: Student 1908, Biometrika 6; the paired t interval.
    """
    differences = [value - other for value, other in zip(values, baseline, strict=True)]
    mean = statistics.mean(differences)
    half = STUDENT_T_975[len(differences) - 2] * statistics.stdev(differences) / math.sqrt(len(differences))
    return Difference(mean, mean - half, mean + half)


FEW_PICTURES = 12_000
"""About 23 of the rarest species."""

Accuracies = dict[str, list[tuple[float, float]]]
"""Loss -> (all, rarer half) per seed."""


def measure(seeds: int, options: TrainOptions, num_pictures: int) -> Accuracies:
    """Every loss on every seed, with so many pictures to train on."""
    found: Accuracies = {loss: [] for loss in LOSSES}
    for seed in range(seeds):
        problem = ToyProblem.make(seed, num_pictures)
        for loss in LOSSES:
            torch.manual_seed(seed)  # equal starting weights
            towers = ToyTowers()
            train(towers, problem, loss, seed, options)
            found[loss].append(balanced_accuracy(towers, problem))
            both = ", ".join(f"{100 * one:.1f}" for one in found[loss][-1])
            print(f"{num_pictures:,} pictures, seed {seed}, {loss}: {both}", file=sys.stderr)
    return found


def render(found: Accuracies, title: str) -> str:
    """The tables of one supply of pictures, as Markdown."""
    num = len(found[LOSSES[0]])
    heads = ["loss", *(f"seed {seed}" for seed in range(num)), "mean"]
    lines = [f"**{title}: balanced zero-shot accuracy, %, all species / rarer half**", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for loss, pairs in found.items():
        means = tuple(statistics.mean(values) for values in zip(*pairs, strict=True))
        cells = [f"{100 * one:.1f} / {100 * two:.1f}" for one, two in (*pairs, means)]
        lines.append(f"| {loss} | {' | '.join(cells)} |")
    lines += ["", "| multi_positive less infonce, points | mean (paired 95 % interval over seeds) |", "|---|---|"]
    for index, group in enumerate(GROUPS):
        ours, baseline = ([pair[index] for pair in found[loss]] for loss in reversed(LOSSES))
        lines.append(f"| {group} | {paired_difference(ours, baseline)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.losses", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help=f"2 to {MAX_SEEDS}")
    parser.add_argument("--steps", type=int, default=TrainOptions.steps)
    given = parser.parse_args(arguments)
    if not 2 <= given.seeds <= MAX_SEEDS:
        parser.error(f"--seeds {given.seeds}: an interval needs 2 to {MAX_SEEDS}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options = TrainOptions(steps=given.steps)
    num_seen = options.steps * options.batch_size
    for num_pictures in (num_seen, FEW_PICTURES):
        often = "once" if num_seen == num_pictures else f"{num_seen / num_pictures:.3g} times"
        title = f"{options.steps} steps, {num_pictures:,} pictures, each {often}"
        print(render(measure(given.seeds, options, num_pictures), title) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
