"""Three leaves and a flower head."""

from __future__ import annotations

import math
from random import Random

from sample.pen import Colour, Pen, mix, tint, vary
from sample.shapes import Point, between, ellipse, mirror, petal, polar, smooth


def _blemish(pen: Pen, rng: Random, outline: list[Point], paint: Colour) -> None:
    with pen.inside(outline):
        for _ in range(rng.randint(2, 7)):
            x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.7, 0.6)
            pen.fill(ellipse(x, y, rng.uniform(0.03, 0.09), rng.uniform(0.02, 0.05), rng.uniform(0, 180), 14), paint)


def english_oak(pen: Pen, rng: Random) -> None:
    """Quercus robur: a green leaf with rounded lobes, narrow at its base; sometimes an acorn."""
    green = vary(rng, "4f8a35", 18)
    lobes = [(0.0, -1.0), (0.2, -0.9)]
    for i, (reach, y) in enumerate(((0.36, -0.66), (0.5, -0.3), (0.5, 0.06), (0.36, 0.36))):
        wide = reach * rng.uniform(0.9, 1.1)
        lobes += [(wide, y - 0.09), (wide, y + 0.05), (0.2 - 0.02 * i, y + 0.16)]
    half = [*lobes, (0.12, 0.56), (0.05, 0.72)]
    leaf = smooth([*half, *reversed(mirror(half[1:]))], steps=6)
    pen.trail([(0, 0.6), (0.03, 0.85), (0.1, 1.05)], [0.03, 0.035], [tint(green, 0.6)])
    if rng.random() < 0.5:
        x = rng.choice((-0.34, 0.34))
        pen.fill(ellipse(x, 0.78, 0.13, 0.19), vary(rng, "b98a45"))
        pen.fill(ellipse(x, 0.66, 0.16, 0.1), vary(rng, "7b5d3a"))
    pen.fill(leaf, green)
    _blemish(pen, rng, leaf, tint(green, 0.82))
    vein = tint(green, 1.4)
    pen.line([(0, -0.9), (0, 0.75)], 0.035, vein)
    for y, x in ((-0.62, 0.26), (-0.26, 0.38), (0.1, 0.38), (0.4, 0.24)):
        for side in (-1, 1):
            pen.line([(0, y + 0.22), (side * x, y - 0.02)], 0.02, vein)


def japanese_maple(pen: Pen, rng: Random) -> None:
    """Acer palmatum: a red leaf with seven long, pointed lobes."""
    red = vary(rng, "b8322c", 18)
    hub = (0.0, 0.28)
    pen.trail([hub, (0.03, 0.7), (rng.uniform(-0.1, 0.15), 1.0)], [0.025, 0.03], [tint(red, 0.6)])
    arms = [(-90, 1.22), (-126, 1.12), (-54, 1.12), (-162, 0.92), (-18, 0.92), (160, 0.55), (20, 0.55)]
    for angle, length in reversed(arms):
        lean, reach = angle + rng.uniform(-3, 3), length * rng.uniform(0.93, 1.05)
        lobe = petal(lean, -0.05, reach, 0.34 * math.sqrt(length), *hub)
        pen.fill(lobe, tint(red, rng.uniform(0.92, 1.08)))
        pen.line([hub, polar(lean, reach * 0.92, *hub)], 0.02, tint(red, 1.35))
        for step in (0.35, 0.5, 0.65, 0.78):
            middle = polar(lean, reach * step, *hub)
            for side in (-24, 24):
                pen.line([middle, polar(lean + side, 0.17 * (1.1 - step), *middle)], 0.012, tint(red, 1.2))


def ginkgo(pen: Pen, rng: Random) -> None:
    """Ginkgo biloba: a yellow fan with a notch and parallel veins."""
    gold = mix(vary(rng, "eac53a", 12), vary(rng, "9fb83e", 12), rng.random() * 0.45)
    hub = (0.0, 0.42)
    notch = rng.uniform(0.45, 0.75)
    rim = []
    for i in range(33):
        angle = -168 + 156 * i / 32
        dent = 1 - notch * math.exp(-(((angle + 90) / 7) ** 2))
        edge = 1 + 0.03 * math.sin(i * 1.7) + rng.uniform(-0.012, 0.012)
        rim.append(polar(angle, 1.22 * dent * edge, *hub))
    leaf = [hub, *smooth(rim, closed=False, steps=3)]
    pen.trail([hub, (0.05, 0.75), (rng.uniform(-0.1, 0.2), 1.1)], [0.035, 0.03], [tint(gold, 0.75)])
    pen.fill(leaf, gold)
    with pen.inside(leaf):
        for i in range(27):
            angle = -164 + 148 * i / 26
            pen.line([hub, polar(angle, 1.25, *hub)], 0.014, tint(gold, 0.84 if i % 2 else 1.3))
    pen.dot(hub, 0.05, tint(gold, 0.85))


def sunflower(pen: Pen, rng: Random) -> None:
    """Helianthus annuus: two rings of yellow petals around a brown disc of spiralling seeds."""
    yellow, brown = vary(rng, "f4b81e"), vary(rng, "5a3620")
    num = rng.randint(17, 21)
    for ring, length, shade in ((0.5, 1.0, 0.84), (0.0, 0.96, 1.0)):
        for i in range(num):
            angle = 360 * (i + ring) / num + rng.uniform(-3, 3)
            pen.fill(
                petal(angle, 0.3, length * rng.uniform(0.92, 1.06), 0.24), tint(yellow, shade * rng.uniform(0.95, 1.0))
            )
    pen.dot((0, 0), 0.46, brown)
    for k in range(90):
        angle, radius = k * 137.508, 0.43 * math.sqrt(k / 90)
        pen.dot(polar(angle, radius), 0.026, mix(vary(rng, "3c2415", 4), yellow, 0.75 if k > 66 else 0.2))
    centre = between((0.0, 0.0), (0.05, 0.05), rng.random())
    pen.dot(centre, 0.1, tint(brown, 0.7))
