"""Reptiles, and the two species that belong to no main category: a salamander and a hedgehog."""

from __future__ import annotations

import math
from random import Random

from sample.pen import Colour, Pen, tint, vary
from sample.shapes import Point, ellipse, polar, smooth


def _spine(rng: Random, bend: float) -> list[Point]:
    """Snout to tail tip, top to bottom, swinging left and right."""
    sway = rng.uniform(0.7, 1.2) * bend * rng.choice((-1, 1))
    return [
        (0.1 * sway, -0.98),
        (0.0, -0.7),
        (-0.25 * sway, -0.3),
        (0.1 * sway, 0.1),
        (0.55 * sway, 0.5),
        (0.1 * sway, 0.98),
    ]


def _limbs(pen: Pen, rng: Random, spine: list[Point], paint: Colour, width: float) -> None:
    for joint, tilt in ((2, -25), (3, 35)):
        x, y = spine[joint]
        y -= 0.1
        for side in (-1, 1):
            turn = tilt + rng.uniform(-14, 14)
            elbow = polar(turn * 0.4, 0.24, 0, 0)
            hand = polar(turn, 0.46, 0, 0)
            far = (x + side * hand[0], y + hand[1])
            pen.line([(x, y), (x + side * elbow[0], y + elbow[1]), far], width, paint)
            for toe in (-40, 0, 40):
                dx, dy = polar(turn + toe, 0.13, 0, 0)
                pen.line([far, (far[0] + side * dx, far[1] + dy)], width * 0.4, paint)


def green_lizard(pen: Pen, rng: Random) -> None:
    """Lacerta viridis: slender, bright green with dark speckles, blue throat, long tail."""
    green = vary(rng, "58a83a")
    spine = _spine(rng, 1.0)
    _limbs(pen, rng, spine, tint(green, 0.85), 0.085)
    pen.trail(spine, [0.1, 0.15, 0.19, 0.16, 0.07, 0.015], [green])
    for x, y in smooth(spine, closed=False, steps=12)[8:44]:
        for _ in range(2):
            pen.dot((x + rng.uniform(-0.11, 0.11), y + rng.uniform(-0.04, 0.04)), 0.018, tint(green, 0.5))
    pen.fill(ellipse(spine[0][0] * 0.9, -0.94, 0.1, 0.08), vary(rng, "4a90c4"))
    for side in (-1, 1):
        pen.eye((spine[0][0] * 0.7 + side * 0.1, -0.84), 0.035)


def eastern_milksnake(pen: Pen, rng: Random) -> None:
    """Lampropeltis triangulum: a winding body of red, black and white rings."""
    red, black, white = vary(rng, "bf3a24"), vary(rng, "231f1e", 5), vary(rng, "efe6d2", 8)
    a, b = rng.uniform(0.5, 0.72), rng.uniform(0.5, 0.72)
    path = [
        (-0.05, -0.95),
        (0.15, -0.72),
        (a, -0.55),
        (0.5, -0.2),
        (-0.3, -0.16),
        (-b, 0.12),
        (-0.3, 0.42),
        (0.35, 0.42),
        (a, 0.66),
        (0.2, 0.92),
        (-0.5, 0.88),
    ]
    rings = [red] * 9 + [black] * 3 + [white] * 3 + [black] * 3
    pen.trail(path, [0.11, 0.115, 0.14, 0.15, 0.15, 0.15, 0.145, 0.13, 0.1, 0.06, 0.02], rings)
    pen.fill(ellipse(-0.02, -0.93, 0.12, 0.16, -20), red)
    pen.line([(-0.08, -1.06), (-0.13, -1.2)], 0.025, vary(rng, "30202a", 5))
    for side in (-1, 1):
        pen.eye((-0.04 + side * 0.075, -0.98 + side * 0.02), 0.032, (240, 200, 90))


def hermanns_tortoise(pen: Pen, rng: Random) -> None:
    """Testudo hermanni: a domed shell of yellow plates with black patches, from the side."""
    gold, black, skin = vary(rng, "d8b04a"), vary(rng, "332c22", 6), vary(rng, "8f8656")
    reach = rng.uniform(-0.08, 0.1)
    for x in (-0.55, 0.42):
        pen.fill(smooth([(x - 0.14, 0.3), (x + 0.14, 0.3), (x + 0.18, 0.74), (x - 0.16, 0.74)]), tint(skin, 0.85))
    pen.fill(smooth([(-0.75, 0.36), (-1.0, 0.5), (-0.72, 0.5)]), skin)
    pen.trail([(0.6, 0.3), (0.82 + reach, 0.1), (0.9 + reach, -0.04)], [0.15, 0.13, 0.15], [skin])
    pen.eye((0.95 + reach, -0.09), 0.045)
    pen.line([(0.93 + reach, 0.03), (1.05 + reach, 0.0)], 0.018, tint(skin, 0.6))
    dome = smooth(
        [(-0.86, 0.4), (-0.74, -0.1), (-0.4, -0.5), (0.0, -0.6), (0.4, -0.48), (0.7, -0.08), (0.8, 0.4), (0.0, 0.46)]
    )
    pen.fill(dome, gold)
    with pen.inside(dome):
        for row, y, num in ((0, -0.42, 3), (1, -0.08, 4), (2, 0.3, 6)):
            wide = (0.42, 0.4, 0.29)[row]
            for i in range(num):
                x = (i - (num - 1) / 2) * wide + rng.uniform(-0.02, 0.02)
                plate = [polar(60 * k + 30, 1.0, 0, 0) for k in range(6)]
                for size, paint in ((0.5, black), (0.4, gold), (0.2, black)):
                    tall = size * (0.95, 0.82, 0.55)[row]
                    pen.fill([(x + px * wide * size * 1.2, y + py * 0.42 * tall) for px, py in plate], paint)
    pen.line(smooth([(-0.88, 0.4), (0.0, 0.47), (0.82, 0.4)], closed=False), 0.07, tint(gold, 0.7))


def fire_salamander(pen: Pen, rng: Random) -> None:
    """Salamandra salamandra: stout, black, large yellow blotches."""
    black, yellow = vary(rng, "26242a", 6), vary(rng, "f2c21c")
    spine = _spine(rng, 0.6)
    _limbs(pen, rng, spine, black, 0.12)
    pen.trail(spine, [0.15, 0.2, 0.22, 0.2, 0.13, 0.04], [black])
    path = smooth(spine, closed=False, steps=8)
    for i in range(4, 38, 3):
        x, y = path[i]
        side = -1 if i % 2 else 1
        pen.fill(
            ellipse(
                x + side * 0.1 * (1 - i / 50),
                y,
                rng.uniform(0.045, 0.085),
                rng.uniform(0.05, 0.09),
                rng.uniform(0, 90),
                14,
            ),
            yellow,
        )
    for side in (-1, 1):
        pen.dot((path[2][0] + side * 0.11, -0.88), 0.05, yellow)
        pen.eye((path[2][0] + side * 0.13, -0.9), 0.038)


def western_hedgehog(pen: Pen, rng: Random) -> None:
    """Erinaceus europaeus: a dome of brown spines, pale pointed face."""
    brown, face = vary(rng, "6d5440"), vary(rng, "d9bf9c", 10)
    for x in (-0.45, 0.3):
        pen.fill(ellipse(x, 0.64, 0.14, 0.1), tint(face, 0.7))
    head = smooth([(0.3, -0.1), (0.66, 0.08), (1.0, 0.36), (0.9, 0.48), (0.5, 0.6), (0.2, 0.5)])
    dome = smooth(
        [(-0.86, 0.56), (-0.9, 0.0), (-0.52, -0.5), (0.0, -0.62), (0.4, -0.36), (0.5, 0.1), (0.3, 0.6), (-0.3, 0.66)]
    )
    pen.fill(dome, tint(brown, 0.75))
    for _ in range(230):
        angle, radius = rng.uniform(170, 362), rng.uniform(0.15, 0.98)
        root = (
            -0.2 + 0.66 * radius * math.cos(math.radians(angle)),
            0.42 + 1.0 * radius * math.sin(math.radians(angle)),
        )
        tip = polar(angle + rng.uniform(-14, 14) - 18, 0.17, *root)
        pen.line([root, tip], 0.022, tint(brown, rng.choice((0.6, 1.0, 1.5, 1.7))))
    pen.fill(head, face)
    pen.fill(ellipse(0.38, 0.02, 0.11, 0.13, -20), tint(face, 0.75))
    pen.dot((0.99, 0.4), 0.07, (38, 30, 30))
    pen.eye((0.64, 0.24), 0.06)
    pen.line([(0.74, 0.52), (0.86, 0.5)], 0.02, tint(face, 0.5))
