"""Birds: three perched or wading in side view, one owl from the front."""

from __future__ import annotations

from random import Random

from sample.pen import Pen, tint, vary
from sample.shapes import ellipse, smooth


def _perch(pen: Pen, rng: Random, y: float) -> None:
    bark = vary(rng, "6b4a32")
    pen.trail(
        [(-1.3, y + rng.uniform(-0.05, 0.15)), (0.0, y), (1.3, y + rng.uniform(-0.15, 0.05))], [0.09, 0.07], [bark]
    )
    for x in (-0.75, 0.8):
        leaf = ellipse(x, y - 0.14, 0.2, 0.085, rng.uniform(-50, 50))
        pen.fill(leaf, vary(rng, "5f8f46"))


def _feathers(pen: Pen, wing: list[tuple[float, float]], shade: tuple[int, int, int]) -> None:
    with pen.inside(wing):
        for i in range(5):
            y = 0.02 + 0.1 * i
            pen.line(smooth([(-0.7, y + 0.25), (-0.2, y + 0.12), (0.35, y - 0.16)], closed=False), 0.018, shade)


def northern_cardinal(pen: Pen, rng: Random) -> None:
    """Cardinalis cardinalis: red, pointed crest, black mask, orange beak."""
    red = vary(rng, "c8202a")
    crest = rng.uniform(-1.0, -0.86)
    _perch(pen, rng, 0.7)
    pen.fill([(-0.3, 0.15), (-1.02, 0.78), (-0.84, 0.93), (-0.1, 0.48)], tint(red, 0.72))
    for x in (0.02, 0.17):
        pen.line([(x, 0.45), (x + 0.02, 0.68)], 0.05, vary(rng, "7a4a36"))
    head = [(0.64, -0.36), (0.48, -0.6), (0.22, crest), (0.14, -0.5)]
    trunk = [(-0.24, -0.12), (-0.52, 0.3), (-0.1, 0.58), (0.36, 0.4), (0.56, 0.02), (0.6, -0.18)]
    pen.fill(smooth(head + trunk), red)
    wing = smooth([(0.2, -0.12), (-0.3, 0.08), (-0.72, 0.5), (-0.05, 0.42), (0.22, 0.2)])
    pen.fill(wing, tint(red, 0.78))
    _feathers(pen, wing, tint(red, 0.55))
    pen.fill(ellipse(0.6, -0.26, 0.15, 0.17), vary(rng, "231b1d", 6))
    pen.fill(smooth([(0.58, -0.38), (0.76, -0.33), (0.9, -0.22), (0.58, -0.13)]), vary(rng, "ee8a3a"))
    pen.eye((0.43, -0.38), 0.06)


def common_kingfisher(pen: Pen, rng: Random) -> None:
    """Alcedo atthis: blue back with pale flecks, orange belly, long black beak."""
    blue, orange = vary(rng, "1f7fb8"), vary(rng, "e8843a")
    _perch(pen, rng, 0.72)
    pen.fill([(-0.4, 0.35), (-0.72, 0.82), (-0.55, 0.86), (-0.15, 0.5)], tint(blue, 0.75))
    belly = smooth([(0.3, -0.3), (0.5, 0.05), (0.36, 0.5), (0.0, 0.68), (-0.35, 0.45), (-0.3, 0.0)])
    pen.fill(belly, orange)
    back = smooth([(0.15, -0.35), (0.1, 0.0), (-0.12, 0.35), (-0.55, 0.62), (-0.5, 0.15), (-0.25, -0.25)])
    pen.fill(back, blue)
    head = smooth([(0.52, -0.42), (0.38, -0.72), (0.05, -0.8), (-0.22, -0.58), (-0.14, -0.3), (0.2, -0.18)])
    pen.fill(head, tint(blue, 0.9))
    pen.fill(ellipse(0.34, -0.4, 0.2, 0.1, 8), orange)
    pen.fill(ellipse(-0.02, -0.36, 0.12, 0.09, 25), vary(rng, "f4efe4", 6))
    pen.fill([(0.42, -0.52), (1.08, -0.36), (0.42, -0.34)], vary(rng, "2a2a2e", 6))
    for _ in range(16):
        pen.dot((rng.uniform(-0.15, 0.35), rng.uniform(-0.76, -0.56)), 0.022, tint(blue, 1.55))
    with pen.inside(back):
        for _ in range(14):
            pen.dot((rng.uniform(-0.5, 0.1), rng.uniform(-0.25, 0.5)), 0.026, tint(blue, 1.5))
    pen.eye((0.28, -0.5), 0.065)
    pen.line([(0.1, 0.62), (0.12, 0.73)], 0.06, vary(rng, "c8452f"))


def snowy_owl(pen: Pen, rng: Random) -> None:
    """Bubo scandiacus: white from the front, brown bars, yellow eyes."""
    white, bars = vary(rng, "f3f2ee", 6), vary(rng, "5b5148")
    body = smooth([(0.0, -0.35), (0.5, -0.1), (0.6, 0.45), (0.3, 0.92), (-0.3, 0.92), (-0.6, 0.45), (-0.5, -0.1)])
    pen.fill(body, white)
    with pen.inside(body):
        for row in range(7):
            for x in range(-3, 4):
                cx = x * 0.17 + (0.085 if row % 2 else 0.0) + rng.uniform(-0.03, 0.03)
                pen.fill(ellipse(cx, -0.05 + row * 0.14, 0.06, 0.018, rng.uniform(-12, 12), 12), bars)
    for side in (-1, 1):
        wing = smooth([(side * 0.42, -0.15), (side * 0.68, 0.2), (side * 0.58, 0.72), (side * 0.4, 0.4)])
        pen.fill(wing, tint(white, 0.9))
        pen.fill(ellipse(side * 0.18, 0.95, 0.13, 0.07), tint(white, 0.86))
    pen.fill(ellipse(0, -0.5, 0.5, 0.44), white)
    for _ in range(9):
        pen.fill(ellipse(rng.uniform(-0.28, 0.28), rng.uniform(-0.9, -0.74), 0.045, 0.016, 0, 12), bars)
    for side in (-1, 1):
        pen.fill(ellipse(side * 0.2, -0.45, 0.2, 0.22), tint(white, 0.93))
        pen.eye((side * 0.19, -0.47), 0.115, vary(rng, "f2c531"))
    pen.fill(smooth([(-0.06, -0.38), (0.06, -0.38), (0.0, -0.2)]), vary(rng, "2e2a2c", 6))


def greater_flamingo(pen: Pen, rng: Random) -> None:
    """Phoenicopterus roseus: pink, S-shaped neck, long legs, bent beak with a black tip."""
    pink = vary(rng, "f2a3ad")
    sway = rng.uniform(-0.08, 0.08)
    leg = vary(rng, "e0607a")
    pen.line([(-0.05, 0.25), (-0.02, 1.02), (0.1, 1.03)], 0.05, leg)
    pen.line([(-0.25, 0.25), (-0.32 + sway, 0.62), (-0.2, 1.0), (-0.08, 1.01)], 0.05, tint(leg, 0.85))
    neck = [(0.28, 0.06), (0.55, -0.15), (0.42, -0.45), (0.22 + sway, -0.72), (0.4 + sway, -0.95)]
    pen.trail(neck, [0.13, 0.09, 0.075, 0.075, 0.08], [tint(pink, 1.1)])
    head = (0.46 + sway, -0.93)
    pen.fill(ellipse(*head, 0.15, 0.11, 15), tint(pink, 1.12))
    pen.fill(
        smooth([(head[0] + 0.1, -0.97), (head[0] + 0.3, -0.84), (head[0] + 0.22, -0.72), (head[0] + 0.1, -0.86)]), pink
    )
    pen.fill(ellipse(head[0] + 0.24, -0.75, 0.05, 0.1, 20), (38, 32, 36))
    pen.eye((head[0] + 0.03, -0.96), 0.035)
    body = smooth([(0.42, 0.0), (0.2, -0.22), (-0.3, -0.12), (-0.78, 0.2), (-0.35, 0.32), (0.2, 0.3)])
    pen.fill(body, pink)
    wing = smooth([(0.15, -0.1), (-0.3, -0.02), (-0.72, 0.2), (-0.2, 0.2), (0.12, 0.12)])
    pen.fill(wing, tint(pink, 0.86))
    _feathers(pen, wing, tint(leg, 0.9))
