"""Mushrooms standing upright, seen from the side."""

from __future__ import annotations

import math
from random import Random

from sample.pen import Pen, tint, vary
from sample.shapes import ellipse, smooth


def _ground(pen: Pen, rng: Random) -> None:
    moss = vary(rng, "5f7d3e")
    for i in range(13):
        x = -0.6 + i * 0.1
        pen.line(
            [(x, 1.0), (x + rng.uniform(-0.08, 0.08), 0.82 + abs(x) * 0.2)], 0.035, tint(moss, rng.uniform(0.7, 1.2))
        )


def fly_agaric(pen: Pen, rng: Random) -> None:
    """Amanita muscaria: red cap with white warts, white stem with a ring."""
    red, white = vary(rng, "d4281e"), vary(rng, "f3ecdc", 8)
    lean = rng.uniform(-0.08, 0.08)
    stem = smooth([(-0.12 + lean, -0.2), (0.12 + lean, -0.2), (0.15, 0.6), (0.24, 0.95), (-0.24, 0.95), (-0.15, 0.6)])
    pen.fill(stem, white)
    pen.fill(
        smooth([(-0.14 + lean, 0.05), (0.14 + lean, 0.05), (0.26, 0.26), (0, 0.31), (-0.26, 0.26)]), tint(white, 0.88)
    )
    pen.fill(ellipse(lean, -0.14, 0.7, 0.13), tint(white, 0.8))
    rise = rng.uniform(-0.92, -0.74)
    cap = smooth(
        [
            (-0.86 + lean, -0.12),
            (-0.62 + lean, -0.58),
            (lean, rise),
            (0.62 + lean, -0.58),
            (0.86 + lean, -0.12),
            (lean, -0.06),
        ]
    )
    pen.fill(cap, red)
    with pen.inside(cap):
        for row, num in ((-0.2, 6), (-0.38, 5), (-0.56, 4), (-0.73, 2)):
            for i in range(num):
                x = lean + (i - (num - 1) / 2) * 0.29 + rng.uniform(-0.05, 0.05)
                r = rng.uniform(0.045, 0.085)
                pen.fill(ellipse(x, row + rng.uniform(-0.04, 0.04), r, r * 0.75, rng.uniform(-30, 30), 14), white)
    _ground(pen, rng)


def morel(pen: Pen, rng: Random) -> None:
    """Morchella esculenta: tall honeycombed cap, pale stem."""
    tan, cream = vary(rng, "b98d55"), vary(rng, "e9dcc0", 8)
    top = rng.uniform(-1.0, -0.88)
    pen.fill(smooth([(-0.2, 0.1), (0.2, 0.1), (0.22, 0.6), (0.3, 0.95), (-0.3, 0.95), (-0.22, 0.6)]), cream)
    cap = smooth(
        [(0, top), (0.3, -0.66), (0.48, -0.15), (0.36, 0.28), (0, 0.36), (-0.36, 0.28), (-0.48, -0.15), (-0.3, -0.66)]
    )
    pen.fill(cap, tint(tan, 1.2))
    with pen.inside(cap):
        for row in range(9):
            for i in range(-3, 4):
                x = i * 0.17 + (0.085 if row % 2 else 0) + rng.uniform(-0.02, 0.02)
                y = -0.92 + row * 0.15 + rng.uniform(-0.02, 0.02)
                pen.fill(ellipse(x, y, 0.058, 0.075 * rng.uniform(0.8, 1.15), rng.uniform(-20, 20), 12), tint(tan, 0.5))
    _ground(pen, rng)


def chanterelle(pen: Pen, rng: Random) -> None:
    """Cantharellus cibarius: an egg-yellow funnel with a wavy rim and ridges running down."""
    yolk = vary(rng, "f0a62a")
    phase = rng.uniform(0, 6.28)
    wave = [(-0.85 + 0.1 * i, -0.5 + 0.07 * math.sin(i * 1.3 + phase)) for i in range(18)]
    funnel = smooth(
        [*wave, (0.6, -0.15), (0.2, 0.35), (0.16, 0.95), (-0.16, 0.95), (-0.2, 0.35), (-0.6, -0.15)], steps=4
    )
    pen.fill(funnel, yolk)
    with pen.inside(funnel):
        for i in range(-7, 8):
            x = i * 0.12
            path = [(x * 1.1, -0.5), (x * 0.62, -0.05), (x * 0.2, 0.5)]
            pen.line(smooth(path, closed=False), 0.022, tint(yolk, 0.74))
    back = [(x * 0.96, y * 1.0 - 0.22 - 0.12 * (1 - (x / 0.85) ** 2)) for x, y in wave]
    pen.fill(smooth([*wave, *reversed(back)], steps=4), tint(yolk, 1.22))
    pen.fill(ellipse(0, -0.6, 0.42, 0.07), tint(yolk, 0.88))
    _ground(pen, rng)
