"""The photos that downloaders are measured with, and the addresses they are asked for at.

Each photo is a JPEG of 500x375 px, a colour gradient under noise; sizes p5 / median / p95 = 42 / 52 / 59 kB, as
iNaturalist's medium renditions have them. The same number gives the same photo.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import simplejpeg

WIDTH, HEIGHT = 500, 375
QUALITY = 90
SIZE_QUANTILES = ((0.0, 0.05, 0.5, 0.95, 1.0), (38e3, 42e3, 52e3, 59e3, 62e3))
"""Share of photos, and the bytes they stay below; straight in between. Source: reference set of the measurements."""
NOISE_LEVELS = np.linspace(2.0, 14.0, 13)
"""Standard deviations, in grey levels, whose JPEG sizes are measured once; straight in between."""


def make_photos(folder: Path, num_photos: int) -> Path:
    """Writes `<n>.jpg`, n from 0, where they are not there yet; the folder.

    Args:
        folder: keeps the photos for later runs; those of a shorter list are the first of a longer one.
        num_photos: how many there are at least afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num_photos):
        path = folder / f"{number}.jpg"
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_bytes(make_photo(number))
            unfinished.rename(path)
    return folder


def make_photo(number: int) -> bytes:
    """The JPEG of this number."""
    random = np.random.default_rng(number)
    wanted = np.interp(random.uniform(), *SIZE_QUANTILES)
    noise_level = float(np.interp(wanted, _sizes_of_levels(), NOISE_LEVELS))
    return _encode(random, noise_level)


def photo_urls(base_url: str, num_photos: int, num_copies: int = 1) -> list[str]:
    """The address of every photo, the whole list `num_copies` times; no address comes twice."""
    paths = [f"{base_url}/photos/{number}.jpg" for number in range(num_photos)]
    if num_copies == 1:
        return paths
    return [f"{path}?copy={copy}" for copy in range(num_copies) for path in paths]


def size_summary(folder: Path, num_photos: int) -> str:
    """5th percentile, median and 95th percentile of the photos' sizes, kB."""
    sizes = [(folder / f"{number}.jpg").stat().st_size for number in range(num_photos)]
    low, middle, high = np.percentile(sizes, (5, 50, 95)) / 1e3
    return f"{low:.1f} / {middle:.1f} / {high:.1f} kB"


@functools.cache
def _noise() -> np.ndarray:
    """Normal noise, float32, standard deviation 1; photos are cut out of it, which is faster than drawing it."""
    return np.random.default_rng(2**32).standard_normal((2 * HEIGHT, 2 * WIDTH, 3), dtype=np.float32)


@functools.cache
def _sizes_of_levels() -> np.ndarray:
    """Mean JPEG size at each of NOISE_LEVELS, bytes, rising."""
    sizes = [[len(_encode(np.random.default_rng(one), level)) for one in range(8)] for level in NOISE_LEVELS]
    return np.mean(sizes, axis=1)


def _encode(random: np.random.Generator, noise_level: float) -> bytes:
    """A gradient between four random corner colours, with noise."""
    corners = random.uniform(40, 215, (2, 2, 3)).astype(np.float32)
    down = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    right = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
    left_edge = corners[0, 0] * (1 - down) + corners[1, 0] * down
    right_edge = corners[0, 1] * (1 - down) + corners[1, 1] * down
    picture = left_edge * (1 - right) + right_edge * right
    top, left = int(random.integers(HEIGHT)), int(random.integers(WIDTH))
    picture += noise_level * _noise()[top : top + HEIGHT, left : left + WIDTH]
    return simplejpeg.encode_jpeg(picture.clip(0, 255).astype(np.uint8), QUALITY, "RGB", "420")
