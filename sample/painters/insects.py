"""Insects from above: two butterflies, a beetle, a bee and a dragonfly."""

from __future__ import annotations

from random import Random

from sample.pen import Colour, Pen, tint, vary
from sample.shapes import Point, ellipse, mirror, petal, polar, smooth

_FOREWING: list[Point] = [
    (0.06, -0.22),
    (0.42, -0.62),
    (0.96, -0.72),
    (1.02, -0.5),
    (0.78, -0.08),
    (0.36, 0.06),
    (0.06, 0.06),
]
_HINDWING: list[Point] = [(0.06, 0.0), (0.44, 0.0), (0.72, 0.2), (0.68, 0.56), (0.4, 0.74), (0.16, 0.5)]


def _wings(rng: Random) -> tuple[list[Point], list[Point]]:
    lift = rng.uniform(-0.08, 0.08)
    fore = smooth([(x, y + lift * x) for x, y in _FOREWING])
    hind = smooth([(x, y + lift * 0.6 * x) for x, y in _HINDWING])
    return fore, hind


def _butterfly_body(pen: Pen, paint: Colour) -> None:
    pen.trail([(0, -0.3), (0, 0.0), (0, 0.5)], [0.065, 0.085, 0.04], [paint])
    pen.dot((0, -0.36), 0.075, paint)
    for side in (-1, 1):
        pen.line(smooth([(side * 0.03, -0.4), (side * 0.14, -0.62), (side * 0.26, -0.74)], closed=False), 0.02, paint)
        pen.dot((side * 0.26, -0.74), 0.028, paint)


def monarch(pen: Pen, rng: Random) -> None:
    """Danaus plexippus: orange wings, black veins, a black border with white dots."""
    orange, black = vary(rng, "ef8a1f"), vary(rng, "241c1a", 5)
    fore, hind = _wings(rng)
    for turn in (list, mirror):
        for wing, hub, num in ((hind, (0.1, 0.12), 5), (fore, (0.1, -0.15), 6)):
            centre = (sum(x for x, _ in wing) / len(wing), sum(y for _, y in wing) / len(wing))
            inner = [(centre[0] + (x - centre[0]) * 0.84, centre[1] + (y - centre[1]) * 0.8) for x, y in wing]
            pen.fill(turn(wing), black)
            pen.fill(turn(inner), orange)
            tips = [wing[(i + 1) * len(wing) // (num + 1)] for i in range(num)]
            for tip in tips:
                pen.line(turn([hub, tip]), 0.022, black)
            for i in range(0, len(wing), 3):
                x, y = wing[i]
                if x > 0.3:
                    spot = (centre[0] + (x - centre[0]) * 0.92, centre[1] + (y - centre[1]) * 0.9)
                    pen.dot(turn([spot])[0], 0.02 * rng.uniform(0.8, 1.2), (248, 242, 230))
    _butterfly_body(pen, black)


def white_butterfly(pen: Pen, rng: Random) -> None:
    """Pieris brassicae: cream wings, black wing tips and two black spots on each forewing."""
    cream, black = vary(rng, "f7f3df", 7), vary(rng, "37332f", 8)
    fore, hind = _wings(rng)
    size = rng.uniform(0.06, 0.09)
    for turn in (list, mirror):
        pen.fill(turn(hind), tint(cream, 0.95))
        pen.fill(turn(fore), cream)
        with pen.inside(turn(fore)):
            pen.fill(turn(ellipse(1.04, -0.72, 0.3, 0.24, 30)), black)
        for spot in ((0.62, -0.36), (0.58, -0.12)):
            pen.dot(turn([spot])[0], size, black)
        for tip in ((0.66, 0.3), (0.55, 0.55), (0.34, 0.66)):
            pen.line(turn([(0.1, 0.12), tip]), 0.012, tint(cream, 0.8))
    _butterfly_body(pen, vary(rng, "5d5a55"))


def seven_spot_ladybird(pen: Pen, rng: Random) -> None:
    """Coccinella septempunctata: red dome, seven black spots, white cheeks."""
    red, black = vary(rng, "d9291c"), vary(rng, "1f1c1e", 5)
    for y, angle in ((-0.3, -32), (0.12, 4), (0.5, 36)):
        for side in (-1, 1):
            knee = polar(angle, 0.78, 0.0, y * 0.4)
            pen.line(
                [(side * 0.4, y), (side * knee[0], knee[1]), (side * (knee[0] + 0.08), knee[1] + 0.14)], 0.06, black
            )
    pen.fill(ellipse(0, -0.62, 0.3, 0.24), black)
    for side in (-1, 1):
        pen.line(smooth([(side * 0.12, -0.8), (side * 0.26, -0.96), (side * 0.36, -0.92)], closed=False), 0.03, black)
        pen.fill(ellipse(side * 0.22, -0.62, 0.08, 0.1), (246, 243, 234))
    shell = ellipse(0, 0.12, 0.66, 0.74)
    pen.fill(shell, red)
    with pen.inside(shell):
        pen.line([(0, -0.7), (0, 0.9)], 0.03, black)
        for x, y in ((0, -0.44), (0.28, -0.14), (0.42, 0.24), (0.22, 0.52)):
            r = rng.uniform(0.105, 0.145)
            jog = rng.uniform(-0.025, 0.025)
            pen.dot((x + jog, y), r, black)
            pen.dot((-x + jog, y), r, black)
    pen.fill(ellipse(-0.28, -0.3, 0.14, 0.07, -40), tint(red, 1.45))


def buff_tailed_bumblebee(pen: Pen, rng: Random) -> None:
    """Bombus terrestris: black fur, two yellow bands, buff tail, clear wings."""
    black, yellow, buff = vary(rng, "26211f", 6), vary(rng, "efb92a"), vary(rng, "ead9b8", 10)
    for angle in (-35, 12, 48):
        for side in (-1, 1):
            x, y = polar(angle + rng.uniform(-6, 6), 0.66, 0.0, -0.1)
            pen.line([(side * 0.2, -0.1), (side * x, y), (side * (x + 0.1), y + 0.12)], 0.065, black)
    pen.fill(ellipse(0, -0.66, 0.22, 0.2), black)
    for side in (-1, 1):
        pen.line([(side * 0.1, -0.8), (side * 0.2, -0.95), (side * 0.32, -1.0)], 0.035, black)
    body = smooth(
        [
            (0, -0.62),
            (0.34, -0.5),
            (0.38, -0.16),
            (0.48, 0.2),
            (0.36, 0.72),
            (0, 0.94),
            (-0.36, 0.72),
            (-0.48, 0.2),
            (-0.38, -0.16),
            (-0.34, -0.5),
        ]
    )
    pen.fill(body, black)
    with pen.inside(body):
        for y, half, paint in ((-0.46, 0.1, yellow), (0.2, 0.11, yellow), (0.82, 0.16, buff)):
            pen.fill(ellipse(0, y + rng.uniform(-0.02, 0.02), 0.7, half), paint)
        for _ in range(70):
            x, y = rng.uniform(-0.48, 0.48), rng.uniform(-0.6, 0.9)
            pen.line([(x, y), (x * 1.04, y + 0.07)], 0.012, tint(black, rng.choice((0.6, 1.3))))
    for side in (-1, 1):
        for angle, length, width in ((-2, 0.92, 0.36), (34, 0.7, 0.28)):
            wing = [(side * x, y) for x, y in petal(angle, 0.1, length + 0.1, width, 0.05, -0.2)]
            pen.fill(wing, (226, 232, 236), opacity=0.62)


def emperor_dragonfly(pen: Pen, rng: Random) -> None:
    """Anax imperator: green thorax, long blue abdomen with a dark line, four clear wings."""
    blue, green = vary(rng, "2f8fd0"), vary(rng, "6fae3c")
    for side in (-1, 1):
        for angle, width in ((-14, 0.24), (16, 0.28)):
            bend = angle + rng.uniform(-4, 4)
            wing = [(side * x, y) for x, y in petal(bend, 0.05, 1.08, width, 0.0, -0.32)]
            pen.fill(wing, (222, 236, 240), opacity=0.7)
            tip, root = polar(bend, 0.95, 0.0, -0.32), polar(bend, 0.1, 0.0, -0.32)
            pen.line([(side * root[0], root[1]), (side * tip[0], tip[1])], 0.016, (96, 106, 108))
            mark = polar(bend - 3.5, 0.86, 0.0, -0.32)
            pen.dot((side * mark[0], mark[1]), 0.03, (84, 66, 44))
    sway = rng.uniform(-0.1, 0.1)
    path = [(0, -0.15), (sway * 0.3, 0.3), (sway, 1.0)]
    pen.trail(path, [0.1, 0.075, 0.06], [blue] * 5 + [tint(blue, 0.5)])
    pen.line(smooth(path, closed=False), 0.03, tint(blue, 0.35))
    pen.fill(ellipse(0, -0.34, 0.16, 0.24), green)
    pen.fill(ellipse(0, -0.62, 0.15, 0.11), tint(green, 0.9))
    for side in (-1, 1):
        pen.eye((side * 0.1, -0.66), 0.09, vary(rng, "3d8a9a"))
