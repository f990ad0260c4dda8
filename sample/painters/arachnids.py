"""Spiders from above and a scorpion."""

from __future__ import annotations

from random import Random

from sample.pen import Colour, Pen, tint, vary
from sample.shapes import Point, between, ellipse, polar, smooth


def _legs(pen: Pen, rng: Random, paint: Colour, band: Colour, width: float) -> None:
    """Four pairs of legs around (0, -0.25), each of three parts with banded joints."""
    for angle, reach in ((-62, 1.0), (-22, 0.9), (24, 0.88), (62, 1.02)):
        for side in (-1, 1):
            bend = angle + rng.uniform(-7, 7)
            hip: Point = (side * 0.12, -0.25)
            knee = polar(bend * 0.9 - 16, 0.5 * reach, 0.0, -0.27)
            foot = polar(bend, reach, 0.0, -0.2)
            joint = between(knee, foot, 0.45)
            path = [hip, (side * knee[0], knee[1]), (side * joint[0], joint[1]), (side * foot[0], foot[1])]
            pen.line(path[:3], width, paint)
            pen.line(path[2:], width * 0.65, paint)
            pen.dot(path[1], width * 0.62, band)
            pen.dot(path[2], width * 0.5, band)


def _front(pen: Pen, paint: Colour) -> None:
    pen.fill(ellipse(0, -0.3, 0.2, 0.24), paint)
    for side in (-1, 1):
        pen.fill(ellipse(side * 0.08, -0.56, 0.05, 0.09, side * 15), tint(paint, 0.7))
        pen.dot((side * 0.06, -0.45), 0.028, (15, 12, 14))
        pen.dot((side * 0.12, -0.4), 0.02, (15, 12, 14))


def garden_spider(pen: Pen, rng: Random) -> None:
    """Araneus diadematus: brown, a cross of white spots on a broad abdomen, banded legs."""
    brown = vary(rng, "9a6234")
    _legs(pen, rng, tint(brown, 0.95), tint(brown, 0.5), 0.062)
    _front(pen, tint(brown, 0.8))
    abdomen = smooth(
        [(0, -0.14), (0.36, 0.06), (0.44, 0.36), (0.24, 0.72), (0, 0.84), (-0.24, 0.72), (-0.44, 0.36), (-0.36, 0.06)]
    )
    pen.fill(abdomen, brown)
    with pen.inside(abdomen):
        folium = smooth(
            [(0, 0.05), (0.22, 0.2), (0.14, 0.42), (0.2, 0.55), (0, 0.82), (-0.2, 0.55), (-0.14, 0.42), (-0.22, 0.2)]
        )
        pen.fill(folium, tint(brown, 0.62))
    white = vary(rng, "f6efdc", 6)
    for x, y, r in (
        (0, 0.08, 0.05),
        (0, 0.2, 0.055),
        (0, 0.34, 0.05),
        (0, 0.47, 0.04),
        (0.13, 0.21, 0.048),
        (-0.13, 0.21, 0.048),
    ):
        pen.dot((x + rng.uniform(-0.012, 0.012), y), r * rng.uniform(0.85, 1.15), white)


def wasp_spider(pen: Pen, rng: Random) -> None:
    """Argiope bruennichi: long abdomen with yellow, white and black rings."""
    yellow, black = vary(rng, "f2c31e"), vary(rng, "26221f", 6)
    _legs(pen, rng, vary(rng, "b08d4e"), black, 0.055)
    _front(pen, vary(rng, "cfc8b8", 10))
    abdomen = smooth(
        [(0, -0.14), (0.3, 0.05), (0.37, 0.4), (0.2, 0.82), (0, 0.96), (-0.2, 0.82), (-0.37, 0.4), (-0.3, 0.05)]
    )
    pen.fill(abdomen, yellow)
    with pen.inside(abdomen):
        for i in range(7):
            y = -0.04 + i * 0.145 + rng.uniform(-0.012, 0.012)
            wave = [(-0.5, y), (-0.2, y + 0.035), (0, y), (0.2, y + 0.035), (0.5, y)]
            pen.line([(x, v + 0.06) for x, v in wave], 0.03, vary(rng, "f7f1dc", 5))
            pen.line(wave, 0.05, black)


def black_widow(pen: Pen, rng: Random) -> None:
    """Latrodectus mactans: glossy black globe with a red hourglass, thin legs."""
    black, red = vary(rng, "1e1b22", 6), vary(rng, "d8202c")
    _legs(pen, rng, black, tint(black, 1.15), 0.045)
    _front(pen, black)
    pen.fill(ellipse(0, 0.3, 0.44, 0.46), black)
    w = rng.uniform(0.11, 0.15)
    pen.fill([(-w, 0.08), (w, 0.08), (0.025, 0.29), (w, 0.5), (-w, 0.5), (-0.025, 0.29)], red)
    pen.fill(ellipse(-0.2, 0.08, 0.1, 0.05, -35), tint(black, 1.45))


def emperor_scorpion(pen: Pen, rng: Random) -> None:
    """Pandinus imperator: black, granular pincers, a tail curled over to one side."""
    black = vary(rng, "2c3038", 8)
    claw = vary(rng, "4a3430", 8)
    for angle in (-8, 18, 44, 66):
        for side in (-1, 1):
            far = polar(angle + rng.uniform(-6, 6), 0.66, 0.0, -0.1)
            knee = polar(angle - 14, 0.42, 0.0, -0.12)
            pen.line([(side * 0.1, -0.1), (side * knee[0], knee[1]), (side * far[0], far[1])], 0.05, tint(black, 1.1))
    curl = rng.uniform(0.5, 0.7)
    tail = [(0, 0.35), (0.06, 0.7), (0.3, 0.95), (curl, 0.86), (curl + 0.1, 0.55), (curl - 0.06, 0.36)]
    pen.trail(tail, [0.13, 0.11, 0.1, 0.09, 0.09, 0.1], [black] * 11 + [tint(black, 1.35)] * 3)
    pen.fill([(curl - 0.13, 0.4), (curl - 0.28, 0.16), (curl + 0.02, 0.3)], vary(rng, "8a4a30"))
    for side in (-1, 1):
        spread = rng.uniform(0.5, 0.6)
        pen.trail([(side * 0.14, -0.35), (side * spread, -0.4), (side * 0.5, -0.62)], [0.07, 0.09], [black])
        palm = smooth([(side * 0.4, -0.55), (side * 0.72, -0.62), (side * 0.62, -0.86), (side * 0.38, -0.8)])
        pen.fill(palm, claw)
        pen.fill(smooth([(side * 0.66, -0.75), (side * 0.62, -1.08), (side * 0.52, -0.82)]), claw)
        pen.fill(smooth([(side * 0.44, -0.75), (side * 0.38, -1.04), (side * 0.36, -0.72)]), claw)
    pen.fill(smooth([(0, -0.5), (0.21, -0.4), (0.24, -0.05), (0, 0.0), (-0.24, -0.05), (-0.21, -0.4)]), black)
    for i in range(5):
        pen.fill(ellipse(0, -0.02 + i * 0.1, 0.25 - i * 0.022, 0.075), tint(black, 1.12 if i % 2 else 0.92))
    for side in (-1, 1):
        pen.dot((side * 0.05, -0.36), 0.03, (235, 230, 220))
