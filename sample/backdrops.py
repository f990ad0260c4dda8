"""Backgrounds and light for the drawings: soft colour fields, blades, pebbles, out-of-focus lights, shadows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sample.pen import Colour, colour, mix, tint, vary

# Far and near colour of a scene; any species may stand before any of them, so that a scene gives no label away.
PALETTES = (
    ("cfe3ea", "8fb5a0"),
    ("a9c7a0", "4f7a52"),
    ("e9dcc0", "b59a6c"),
    ("eaf2f8", "a4c4dc"),
    ("bcd7e6", "5f93b0"),
    ("e0d2b8", "a08a68"),
    ("f2e3d5", "d0a58c"),
    ("b4cfa4", "557a52"),
    ("f6e6b8", "c9b45c"),
    ("eef0e2", "aebf8c"),
)


def paint_backdrop(size: tuple[int, int], scene: Random, view: Random) -> Image.Image:
    """An RGB background; `scene` decides what photos of one observation share, `view` what differs."""
    far, near = (vary(scene, code, 12) for code in scene.choice(PALETTES))
    texture = scene.choice(_TEXTURES)
    shift = view.uniform(-0.12, 0.12)
    ramp = Image.linear_gradient("L").resize(size).point(_levels(lambda v: v + 255 * shift))
    picture = Image.composite(Image.new("RGB", size, near), Image.new("RGB", size, far), ramp)
    cloud = _cloud(size, view, 7)
    picture = Image.composite(Image.new("RGB", size, tint(near, 0.86)), picture, cloud.point(_levels(lambda v: v / 3)))
    texture(picture, view, far, near)
    return picture


def _levels(curve: Callable[[int], float]) -> list[int]:
    """The curve as a table for Image.point: one value, 0 to 255, for each of the 256 levels of a channel."""
    return [min(255, max(0, round(curve(level)))) for level in range(256)]


def _cloud(size: tuple[int, int], rng: Random, cells: int) -> Image.Image:
    """Smooth grey noise, about `cells` blotches wide."""
    noise = Image.frombytes("L", (cells, cells), rng.randbytes(cells * cells))
    return noise.resize(size, Image.Resampling.BICUBIC)


def _lights(picture: Image.Image, rng: Random, far: Colour, near: Colour) -> None:
    width, height = picture.size
    glow = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(glow)
    for _ in range(rng.randint(8, 16)):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(6, 26)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=rng.randint(60, 150))
    picture.paste(tint(far, 1.5), mask=glow.filter(ImageFilter.GaussianBlur(2)))


def _blades(picture: Image.Image, rng: Random, far: Colour, near: Colour) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    for _ in range(46):
        x, rise = rng.uniform(-10, width + 10), rng.uniform(0.12, 0.5) * height
        bend = rng.uniform(-22, 22)
        paint = mix(tint(near, rng.uniform(0.7, 1.15)), far, rng.uniform(0, 0.5))
        draw.line([(x, height), (x + bend * 0.3, height - rise * 0.6), (x + bend, height - rise)], fill=paint, width=2)
    picture.paste(picture.filter(ImageFilter.GaussianBlur(1.1)))


def _pebbles(picture: Image.Image, rng: Random, far: Colour, near: Colour) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        r = rng.uniform(2, 9)
        paint = mix(near, far, rng.uniform(0.0, 1.0))
        draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), fill=tint(paint, rng.uniform(0.85, 1.2)))
    picture.paste(picture.filter(ImageFilter.GaussianBlur(0.9)))


def _ridges(picture: Image.Image, rng: Random, far: Colour, near: Colour) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    for layer in range(4):
        base, swing, phase = height * (0.35 + 0.18 * layer), rng.uniform(4, 14), rng.uniform(0, 6.28)
        pace = rng.uniform(0.015, 0.035)
        hill = [(x, base + swing * math.sin(x * pace + phase)) for x in range(0, width + 9, 8)]
        paint = tint(mix(far, near, 0.15 + 0.27 * layer), rng.uniform(0.97, 1.1))
        draw.polygon([*hill, (width + 9, height), (0, height)], fill=paint)
    picture.paste(picture.filter(ImageFilter.GaussianBlur(1.4)))


def _foliage(picture: Image.Image, rng: Random, far: Colour, near: Colour) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    for _ in range(38):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 22)
        lean = rng.uniform(-0.8, 0.8)
        paint = mix(tint(near, rng.uniform(0.75, 1.25)), far, rng.uniform(0.0, 0.6))
        draw.polygon([(x - r, y - r * lean), (x, y + r * 0.4), (x + r, y + r * lean), (x, y - r * 0.4)], fill=paint)
    picture.paste(picture.filter(ImageFilter.GaussianBlur(2.0)))


_TEXTURES: tuple[Callable[[Image.Image, Random, Colour, Colour], None], ...] = (
    _lights,
    _blades,
    _pebbles,
    _ridges,
    _foliage,
)


def give_volume(specimen: Image.Image, light: tuple[float, float]) -> Image.Image:
    """The RGBA specimen with a bright side, a shaded side and a dark rim; light points towards the lamp."""
    alpha = specimen.getchannel("A")
    soft = alpha.filter(ImageFilter.GaussianBlur(5))
    dx, dy = round(light[0] * 5), round(light[1] * 5)
    lit = ImageChops.subtract(soft, _moved(soft, dx, dy), scale=1.6)
    shaded = ImageChops.subtract(soft, _moved(soft, -dx, -dy), scale=1.3)
    pixels = specimen.convert("RGB")
    pixels = Image.composite(
        Image.new("RGB", pixels.size, (255, 252, 240)), pixels, shaded.point(_levels(lambda v: v / 2))
    )
    pixels = Image.composite(Image.new("RGB", pixels.size, (24, 20, 40)), pixels, lit)
    rim = alpha.filter(ImageFilter.GaussianBlur(0.8)).point(_levels(lambda v: v * 2))
    outlined = Image.new("RGBA", pixels.size, (38, 30, 34, 0))
    outlined.putalpha(rim)
    shown = pixels.convert("RGBA")
    shown.putalpha(alpha)
    outlined.alpha_composite(shown)
    return outlined


def _moved(mask: Image.Image, dx: int, dy: int) -> Image.Image:
    return mask.transform(mask.size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy))


def compose(backdrop: Image.Image, specimen: Image.Image, light: tuple[float, float], view: Random) -> Image.Image:
    """The RGB picture: shadow, specimen, fall-off of the light towards the corners, warmth and a little grain."""
    picture = backdrop.copy()
    shadow = specimen.getchannel("A").filter(ImageFilter.GaussianBlur(5))
    shadow = _moved(shadow, round(-light[0] * 6), round(-light[1] * 6)).point(_levels(lambda v: v * 0.4))
    picture.paste((26, 24, 40), mask=shadow)
    picture.paste(specimen, mask=specimen.getchannel("A"))
    corners = Image.radial_gradient("L").resize(picture.size).point(_levels(lambda v: (v - 130) / 3))
    picture.paste((18, 16, 30), mask=corners)
    warmth = view.choice(("ffd9a0", "a8c8f0", "fff6e0", "f0e0ff"))
    picture = Image.blend(picture, Image.new("RGB", picture.size, colour(warmth)), view.uniform(0.0, 0.08))
    gain = view.uniform(0.94, 1.14)
    picture = picture.point(_levels(lambda v: v * gain) * 3)
    grain = _cloud(picture.size, view, 96).convert("RGB")
    return Image.blend(picture, grain, 0.018)
