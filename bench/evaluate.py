"""Measures evaluation where it could be slow: scores and metrics at scale, prompts, few-shot; prints a table.

    python -m bench.evaluate [--parts scores prompts few_shot] [--images 100000] [--classes 10000]

`scores`: from embeddings in a file to all metrics but the bootstrap, with roll-ups to the seven ranks. `prompts`: 80
prompts a class, against encoding class by class at full context as published evaluators do; same model, same run.
`few_shot`: the nearest class mean by matrix product, against the published form that subtracts every mean from every
query. Times are processor seconds, all threads together, so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass

PARTS = ("scores", "prompts", "few_shot")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: was measured.
        value: with its unit.
        goal: with its unit; empty without one.
        is_met: whether the goal is.
    """

    what: str
    value: str
    goal: str = ""
    is_met: bool = True


def render(figures: list[Figure]) -> str:
    """The table, as Markdown."""
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    verdicts = [("met" if one.is_met else "MISSED") if one.goal else "" for one in figures]
    rows = zip(figures, verdicts, strict=True)
    return "\n".join(lines + [f"| {one.what} | {one.value} | {one.goal} | {verdict} |" for one, verdict in rows])


def measure(given: argparse.Namespace) -> list[Figure]:
    """The figures of the parts asked for."""
    figures = []
    if "scores" in given.parts:  # first: peak memory is that of the whole process so far
        from bench.evaluate_scores import measure_scores

        figures += measure_scores(given.images, given.classes, given.width)
    if "prompts" in given.parts:
        from bench.evaluate_prompts import measure_prompts

        figures += [one for model in given.models for one in measure_prompts(model, given.prompt_classes)]
    if "few_shot" in given.parts:
        from bench.evaluate_few_shot import measure_few_shot

        figures += measure_few_shot(given.few_shot_classes, given.few_shot_images, given.width)
    return figures


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The arguments, with the sizes of the goals where none are given."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512, help="of an embedding")
    parser.add_argument("--models", nargs="+", default=["tiny"], help="tiny, or open_clip's names (ViT-B-16)")
    parser.add_argument("--prompt-classes", type=int, default=10_000, help="a class takes ViT-B-16 a second or so")
    parser.add_argument("--few-shot-classes", type=int, default=400)
    parser.add_argument("--few-shot-images", type=int, default=4_000)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if a goal was missed."""
    given = parse(arguments)
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    figures = measure(given)
    print(render(figures))
    return int(not all(one.is_met for one in figures))


if __name__ == "__main__":
    sys.exit(main())
