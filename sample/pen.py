"""A pen that draws in a specimen's own coordinates onto a transparent, twice oversampled layer (Pillow)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from sample.shapes import Point, smooth

OVERSAMPLE = 2  # the layer is drawn this much larger and reduced, which smooths the edges

Colour = tuple[int, int, int]


def colour(hex_code: str) -> Colour:
    """The RGB triple, 0 to 255, of a colour written `rrggbb`."""
    return int(hex_code[0:2], 16), int(hex_code[2:4], 16), int(hex_code[4:6], 16)


def tint(base: Colour, factor: float) -> Colour:
    """The colour mixed with black (factor below 1) or with white (1 to 2, where 2 is white)."""
    if factor <= 1:
        return round(base[0] * factor), round(base[1] * factor), round(base[2] * factor)
    return mix(base, (255, 255, 255), factor - 1)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour at fraction `share` (0 to 1) of the way from first to second."""
    r, g, b = (round(f + (s - f) * share) for f, s in zip(first, second, strict=True))
    return r, g, b


def vary(rng: Random, hex_code: str, amount: int = 14) -> Colour:
    """One individual's shade of a colour: every channel moves by at most `amount`."""
    lift = rng.randint(-amount, amount)
    r, g, b = (min(255, max(0, c + lift + rng.randint(-amount // 2, amount // 2))) for c in colour(hex_code))
    return r, g, b


@dataclass(frozen=True)
class Pose:
    """Where a specimen stands in the picture: centre and half size in picture pixels, turn clockwise."""

    centre: Point
    half_size_px: float
    turn_deg: float
    flipped: bool


class Pen:
    """Draws shapes given in specimen coordinates (about -1 to 1, x right, y down) as the pose places them."""

    def __init__(self, size: tuple[int, int], pose: Pose) -> None:
        self.layer = Image.new("RGBA", (size[0] * OVERSAMPLE, size[1] * OVERSAMPLE), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._scale = pose.half_size_px * OVERSAMPLE
        self._centre = (pose.centre[0] * OVERSAMPLE, pose.centre[1] * OVERSAMPLE)
        turn = math.radians(pose.turn_deg)
        self._cos, self._sin = math.cos(turn), math.sin(turn)
        self._side = -1.0 if pose.flipped else 1.0

    def _place(self, point: Point) -> Point:
        x, y = point[0] * self._side * self._scale, point[1] * self._scale
        return (
            self._centre[0] + x * self._cos - y * self._sin,
            self._centre[1] + x * self._sin + y * self._cos,
        )

    def fill(self, outline: Sequence[Point], paint: Colour, opacity: float = 1.0) -> None:
        """Fills a closed outline; below 1 the opacity lets what lies under it shine through."""
        placed = [self._place(p) for p in outline]
        if opacity >= 1:
            self._draw.polygon(placed, fill=(*paint, 255))
            return
        glaze = Image.new("RGBA", self.layer.size, (*paint, 0))
        ImageDraw.Draw(glaze).polygon(placed, fill=(*paint, round(255 * opacity)))
        self.layer.alpha_composite(glaze)

    def dot(self, centre: Point, radius: float, paint: Colour) -> None:
        """Fills a circle."""
        x, y = self._place(centre)
        r = radius * self._scale
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=(*paint, 255))

    def line(self, points: Sequence[Point], width: float, paint: Colour) -> None:
        """Draws a line with round joints through the points; width in specimen units, at least one pixel."""
        placed = [self._place(p) for p in points]
        px = max(OVERSAMPLE, round(width * self._scale))
        self._draw.line(placed, fill=(*paint, 255), width=px, joint="curve")

    def trail(self, points: Sequence[Point], radii: Sequence[float], paints: Sequence[Colour]) -> None:
        """Stamps circles along a smooth open path: radii are spread along it, paints repeat from its start."""
        path = smooth(points, closed=False, steps=16)
        last = len(path) - 1
        for i, point in enumerate(path):
            along = i / last * (len(radii) - 1)
            low = min(int(along), len(radii) - 2)
            radius = radii[low] + (radii[low + 1] - radii[low]) * (along - low)
            self.dot(point, radius, paints[i % len(paints)])

    @contextmanager
    def inside(self, outline: Sequence[Point]) -> Iterator[None]:
        """Within the block only what falls inside the outline is painted: for patterns on a body."""
        stencil = Image.new("L", self.layer.size, 0)
        ImageDraw.Draw(stencil).polygon([self._place(p) for p in outline], fill=255)
        below = self.layer
        self.layer = below.copy()
        self._draw = ImageDraw.Draw(self.layer)
        try:
            yield
        finally:
            below.paste(self.layer, mask=stencil)
            self.layer = below
            self._draw = ImageDraw.Draw(below)

    def eye(self, centre: Point, radius: float, iris: Colour = (20, 18, 18)) -> None:
        """An eye with a dark pupil and a small highlight."""
        self.dot(centre, radius, iris)
        self.dot(centre, radius * 0.62, (18, 16, 18))
        self.dot((centre[0] + radius * 0.25, centre[1] - radius * 0.3), radius * 0.28, (250, 250, 250))
