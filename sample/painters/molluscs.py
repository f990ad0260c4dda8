"""A snail, a scallop and a nautilus."""

from __future__ import annotations

import math
from random import Random

from sample.pen import Pen, tint, vary
from sample.shapes import Point, ellipse, polar, smooth


def banded_wood_snail(pen: Pen, rng: Random) -> None:
    """Cepaea nemoralis: grey-brown body, round yellow shell with dark spiral bands."""
    flesh, shell, band = vary(rng, "8d7f6c"), vary(rng, "efcf5e"), vary(rng, "54331f")
    reach = rng.uniform(-0.06, 0.06)
    foot = [
        (-1.0, 0.68),
        (-0.5, 0.48),
        (0.3, 0.45),
        (0.62, 0.2),
        (0.74, -0.1),
        (0.98, -0.06),
        (1.0, 0.22),
        (0.86, 0.68),
    ]
    pen.fill(smooth(foot), flesh)
    for x, tip in ((0.8, (0.72 + reach, -0.52)), (0.92, (1.02 + reach, -0.46))):
        pen.line([(x, -0.02), tip], 0.05, flesh)
        pen.dot(tip, 0.06, tint(flesh, 0.7))
    centre: Point = (-0.12, -0.02)
    pen.dot(centre, 0.62, shell)
    for radius, width in ((0.55, 0.07), (0.43, 0.05), (0.33, 0.035)):
        turns = [polar(130 + 3.0 * k, radius * (1 - 0.0052 * k), *centre) for k in range(130)]
        pen.line(turns, width * rng.uniform(0.8, 1.2), band)
    pen.dot((centre[0] - 0.02, centre[1]), 0.1, tint(shell, 0.9))
    pen.fill(ellipse(centre[0] - 0.26, centre[1] - 0.34, 0.13, 0.05, -40), tint(shell, 1.6))
    pen.line([(0.84, 0.3), (0.98, 0.24)], 0.02, tint(flesh, 0.6))


def king_scallop(pen: Pen, rng: Random) -> None:
    """Pecten maximus: a ribbed fan with two ears, growth bands in red and cream."""
    rose = vary(rng, "c9705a", 20)
    hub = (0.0, 0.72)
    num = 13
    rim = []
    for i in range(num * 6 + 1):
        angle = -168 + 156 * i / (num * 6)
        bulge = 1.0 + 0.28 * math.sin(math.radians(-angle)) + 0.035 * abs(math.sin(math.pi * i / 6))
        rim.append(polar(angle, 1.16 * bulge, *hub))
    pen.fill([(-0.46, 0.46), (0.46, 0.46), (0.4, 0.86), (-0.4, 0.86)], tint(rose, 0.85))
    fan = [(-0.2, 0.84), *rim, (0.2, 0.84)]
    pen.fill(fan, rose)
    with pen.inside(fan):
        for i, reach in enumerate((1.3, 1.08, 0.86, 0.64, 0.42)):
            ring = [polar(-178 + 176 * k / 30, reach * (1 + 0.2 * math.sin(math.pi * k / 30)), *hub) for k in range(31)]
            pen.fill([*ring, hub], tint(rose, (1.42, 1.0, 1.5, 0.92, 1.3)[i] * rng.uniform(0.97, 1.03)))
        for i in range(num + 1):
            angle = -168 + 156 * i / num
            pen.line([polar(angle, 0.1, *hub), polar(angle, 1.62, *hub)], 0.028, tint(rose, 0.68))


def emperor_nautilus(pen: Pen, rng: Random) -> None:
    """Nautilus pompilius: a white coiled shell with red-brown flames, a hood and many thin arms."""
    white, flame, flesh = vary(rng, "f6efe2", 6), vary(rng, "b5542c"), vary(rng, "dcae86")
    for i in range(9):
        start = (0.5, 0.08 + i * 0.055)
        wave = rng.uniform(-0.08, 0.08)
        path = [start, (0.78, start[1] + wave + 0.05), (1.0 + rng.uniform(-0.08, 0.06), 0.0 + i * 0.09 + wave)]
        pen.line(smooth(path, closed=False), 0.038, tint(flesh, 0.85 + 0.03 * i))
    shell = [
        (0.62, 0.52),
        (0.78, 0.1),
        *[polar(-28 - 8 * k, 0.92 * (1 - 0.0062 * k), -0.14, 0.02) for k in range(31)],
        (0.2, 0.72),
    ]
    outline = smooth(shell, steps=3)
    pen.fill(outline, white)
    with pen.inside(outline):
        for k in range(13):
            angle = -22 - 17 * k + rng.uniform(-3, 3)
            inner, outer = rng.uniform(0.42, 0.52), 1.0
            tip = polar(angle - 13, inner, -0.14, 0.02)
            pen.fill([polar(angle - 4, outer, -0.14, 0.02), polar(angle + 5, outer, -0.14, 0.02), tip], flame)
    pen.line(
        [polar(a, 0.36 * (1 - 0.0016 * (a + 60)), -0.14, 0.1) for a in range(-60, 330, 12)], 0.03, tint(flame, 0.7)
    )
    pen.dot((-0.14, 0.1), 0.07, tint(flame, 0.55))
    pen.fill(smooth([(0.42, -0.06), (0.66, -0.1), (0.84, 0.1), (0.72, 0.36), (0.48, 0.4)]), flesh)
    pen.eye((0.62, 0.2), 0.08, vary(rng, "e8dcc4", 6))
