"""Learning curves as a page holds them: finite numbers, few enough that hundreds of trials can be drawn and sent."""

import math
from collections.abc import Sequence
from itertools import pairwise

MAX_POINTS = 40_000
"""Of all curves together; about 600 kB."""

MOST_PER_CURVE = 300
"""A chart is not much wider than this in px."""

FEWEST_PER_CURVE = 20

Point = tuple[float, float]
"""Step, value."""


def finite(value: object) -> float | None:
    """The number, None for what is none: null, text, true, NaN, an infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def points_per_curve(num_curves: int) -> int:
    """How many points each of so many curves may have."""
    return max(FEWEST_PER_CURVE, min(MOST_PER_CURVE, MAX_POINTS // max(1, num_curves)))


def finite_points(curve: Sequence[Sequence[object]]) -> list[Point]:
    """The points that can be drawn, by step."""
    pairs = ((finite(step), finite(value)) for step, value in curve)
    return sorted((step, value) for step, value in pairs if step is not None and value is not None)


def averaged(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many points, each the mean of a stretch of as many points as the others, give or take one."""
    return [_mean(stretch) for stretch in _stretches(points, most)]


def sampled(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many of the points themselves, evenly apart, the last one among them."""
    return [stretch[-1] for stretch in _stretches(points, most)]


def _stretches(points: Sequence[Point], most: int) -> list[Sequence[Point]]:
    number = min(most, len(points))
    ends = [len(points) * place // number for place in range(number + 1)] if number else []
    return [points[start:end] for start, end in pairwise(ends)]


def _mean(stretch: Sequence[Point]) -> Point:
    steps, values = zip(*stretch, strict=True)
    step = sum(steps) / len(steps)
    return (int(step) if step == int(step) else round(step, 1)), sum(value / len(values) for value in values)
