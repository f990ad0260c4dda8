"""Plane geometry for the painters: outlines as lists of points, x to the right, y down, standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]


def ellipse(cx: float, cy: float, rx: float, ry: float, turn_deg: float = 0.0, num_points: int = 40) -> list[Point]:
    """The outline of an ellipse around (cx, cy), turned clockwise on screen by turn_deg degrees."""
    turn = math.radians(turn_deg)
    cos, sin = math.cos(turn), math.sin(turn)
    outline = []
    for i in range(num_points):
        a = 2 * math.pi * i / num_points
        x, y = rx * math.cos(a), ry * math.sin(a)
        outline.append((cx + x * cos - y * sin, cy + x * sin + y * cos))
    return outline


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 8) -> list[Point]:
    """A uniform Catmull-Rom curve through the points, `steps` points per span; open curves keep both ends.

    Source: E. Catmull, R. Rom, "A class of local interpolating splines", 1974.
    """
    count = len(points)
    curve: list[Point] = []
    for i in range(count if closed else count - 1):
        if closed:
            p0, p1, p2, p3 = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        else:
            p0, p1, p2, p3 = (points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2))
        curve.extend(_span(p0, p1, p2, p3, k / steps) for k in range(steps))
    if not closed:
        curve.append(points[-1])
    return curve


def _span(p0: Point, p1: Point, p2: Point, p3: Point, t: float) -> Point:
    def at(a: float, b: float, c: float, d: float) -> float:
        return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)

    return at(p0[0], p1[0], p2[0], p3[0]), at(p0[1], p1[1], p2[1], p3[1])


def mirror(points: Sequence[Point]) -> list[Point]:
    """The points reflected at the vertical axis x = 0."""
    return [(-x, y) for x, y in points]


def polar(angle_deg: float, radius: float, cx: float = 0.0, cy: float = 0.0) -> Point:
    """The point `radius` away from (cx, cy); 0 degrees points right, 90 degrees down."""
    angle = math.radians(angle_deg)
    return cx + radius * math.cos(angle), cy + radius * math.sin(angle)


def petal(angle_deg: float, start: float, end: float, width: float, cx: float = 0.0, cy: float = 0.0) -> list[Point]:
    """A pointed petal that leaves (cx, cy) at angle_deg, from radius `start` to radius `end`."""
    reach = end - start
    profile = ((0.0, 0.0), (0.3, 0.42), (0.6, 0.5), (0.86, 0.27), (1.0, 0.0), (0.86, -0.27), (0.6, -0.5), (0.3, -0.42))
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    outline = []
    for along, side in profile:
        u, v = start + along * reach, side * width
        outline.append((cx + u * cos - v * sin, cy + u * sin + v * cos))
    return smooth(outline, steps=4)


def between(a: Point, b: Point, t: float) -> Point:
    """The point at fraction t of the way from a to b; t outside 0 to 1 extrapolates."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
