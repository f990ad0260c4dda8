"""The photos that the trainer's data path is measured with.

Each is a JPEG of 4:3 whose brightness falls off with frequency as that of photographs does, over three colours. At
500 px they have 38 to 50 kB, like iNaturalist's medium renditions; at other sizes what such photos have there. The
same number gives the same photo.
"""

from __future__ import annotations

import functools

import numpy as np
import simplejpeg

QUALITY = 90
BYTES_AT_500_PX = (38e3, 50e3)
BYTES_EXPONENT = 1.44
"""Bytes grow with the edge to this power. Source: iNaturalist photos of 38 KiB at 500 px have 107 KiB at 1,024 px."""
FALL_OFF = 1.3
"""Amplitude over spatial frequency to this power, near the 1 of sharp scenes. Source: Field 1987, J. Opt. Soc. Am. A 4.
A little steeper, for the unsharp backgrounds of close-ups, and so that a contrast of photographs gives their sizes."""
COLOUR_SHARE = 0.4
CONTRASTS = np.linspace(5.0, 75.0, 15)
"""Standard deviations, in levels of 255, whose JPEG sizes are measured once; straight in between."""


def make_photo(number: int, edge_px: int) -> bytes:
    """The JPEG of this number whose long edge is `edge_px`."""
    random = np.random.default_rng((edge_px, number))
    low, high = (one * (edge_px / 500) ** BYTES_EXPONENT for one in BYTES_AT_500_PX)
    wanted = random.uniform(low, high)
    return _encode(random, float(np.interp(wanted, _sizes_of_contrasts(edge_px), CONTRASTS)), edge_px)


def photo_size(edge_px: int) -> tuple[int, int]:
    """(width, height), px."""
    return edge_px, edge_px * 3 // 4


def _encode(random: np.random.Generator, contrast: float, edge_px: int) -> bytes:
    """A piece of the texture, perhaps mirrored, around a colour of its own."""
    width, height = photo_size(edge_px)
    texture_HWC = _texture(edge_px)
    top = int(random.integers(texture_HWC.shape[0] - height))
    left = int(random.integers(texture_HWC.shape[1] - width))
    piece_HWC = texture_HWC[top : top + height, left : left + width][:, :: int(random.choice((-1, 1)))]
    pixel_HWC = random.uniform(95, 150, 3).astype(np.float32) + contrast * piece_HWC
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixel_HWC.clip(0, 255).astype(np.uint8)), QUALITY, "RGB", "420")


@functools.cache
def _texture(edge_px: int) -> np.ndarray:
    """float32 [H, W, 3] of standard deviation about 1, three times as wide as a photo; pieces of it are the photos."""
    width, height = photo_size(edge_px)
    random = np.random.default_rng(2**32)
    brightness = _field(random, 3 * height, 3 * width)
    colours = [
        brightness * (1 - COLOUR_SHARE**2) ** 0.5 + COLOUR_SHARE * _field(random, *brightness.shape) for _ in "RGB"
    ]
    return np.stack(colours, axis=-1)


def _field(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """float32 noise of standard deviation 1 whose amplitude falls off as FALL_OFF says."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) * frequency**-FALL_OFF
    field = np.fft.irfft2(spectrum, (height, width))
    return (field / field.std()).astype(np.float32)


@functools.cache
def _sizes_of_contrasts(edge_px: int) -> np.ndarray:
    """Mean JPEG size at each of CONTRASTS, bytes, rising."""
    sizes = [[len(_encode(np.random.default_rng(one), level, edge_px)) for one in range(6)] for level in CONTRASTS]
    return np.mean(sizes, axis=1)
