"""Pixels that cost less than those of evaluation and are nearly the same: JPEGs by libjpeg-turbo, resized by torch.

A JPEG that is still at least twice as large as its resized picture at 1/2, 1/4 or 1/8 is decoded at that scale (the
other scales have no SIMD code); torch's antialiased filters for uint8 are Pillow's, with SIMD code that Pillow lacks.
Grey and CMYK JPEGs, other formats, and whatever libjpeg complains of go to `eval_picture`, which has the last word on
what can be read: the same pictures are refused, for the same reasons.

Shapes: H, W height and width of the decoded picture, S side of the result.
"""

from contextlib import suppress

import numpy as np
import simplejpeg
import torch
from torch.nn.functional import interpolate

from evaluation.encoding.pictures import MOST_PIXELS, eval_picture, fitted_size

_COLOURS = frozenset({"YCbCr", "RGB"})
_MARGIN = 2
"""How much larger than the resized picture one that is decoded at a smaller scale is at least, along each side."""

_ROUNDED_DOWN = 1 + 2.0**-40
"""torch cuts off the size that it computes from a scale; with this much more it never loses the last pixel."""


def fast_picture(
    encoded: bytes, size: int, interpolation: str = "bicubic", resize_mode: str = "shortest"
) -> np.ndarray:
    """Pixels [size, size, 3], uint8 RGB, writable, near those of `eval_picture`.

    Args:
        encoded: the picture, in any format that `eval_picture` takes.
        size: side, px.
        interpolation: "bicubic" or "bilinear".
        resize_mode: "shortest", "squash" or "longest".

    Raises:
        UnreadableImageError: as `eval_picture`.
    """
    with suppress(ValueError):  # no JPEG, or a damaged one
        header_height, header_width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
        full = int(header_width), int(header_height)
        fitted = fitted_size(*full, size, resize_mode)
        if colours in _COLOURS and full[0] * full[1] <= MOST_PIXELS and min(fitted) > 0:
            pixel_HWC, factor = _decoded(encoded, full, fitted)
            return _centred(_resized(pixel_HWC, factor, full, fitted, interpolation), size)
    return eval_picture(encoded, size, interpolation, resize_mode)


def _decoded(encoded: bytes, full: tuple[int, int], fitted: tuple[int, int]) -> tuple[np.ndarray, int]:
    """(pixels, the factor that they are smaller by: 1, 2, 4 or 8).

    Args:
        encoded: a JPEG.
        full: its width and height.
        fitted: width and height that it will be resized to.

    Raises:
        ValueError: libjpeg complains.
    """
    factor = 1
    while factor < 8 and all(have >= 2 * factor * _MARGIN * want for have, want in zip(full, fitted, strict=True)):
        factor *= 2
    width, height = (-(-one // factor) for one in full)
    return simplejpeg.decode_jpeg(encoded, min_width=width, min_height=height, min_factor=factor), factor


def _resized(
    pixel_HWC: np.ndarray, factor: int, full: tuple[int, int], fitted: tuple[int, int], interpolation: str
) -> np.ndarray:
    """The picture at its fitted size; the scale is that of the full picture, whose last pixels may count in part."""
    pixel_1CHW = torch.from_numpy(pixel_HWC)[None].permute(0, 3, 1, 2)
    across, down = (want * factor / have * _ROUNDED_DOWN for have, want in zip(full, fitted, strict=True))
    resized_1CHW = interpolate(pixel_1CHW, scale_factor=(down, across), mode=interpolation, antialias=True)
    return resized_1CHW[0].permute(1, 2, 0).numpy()


def _centred(pixel_HWC: np.ndarray, size: int) -> np.ndarray:
    """The middle [S, S, 3]; black where the picture ends before."""
    centred_SSC = np.zeros((size, size, 3), np.uint8)
    (down_to, down), (across_to, across) = (_middle(length, size) for length in pixel_HWC.shape[:2])
    centred_SSC[down_to, across_to] = pixel_HWC[down, across]
    return centred_SSC


def _middle(length: int, size: int) -> tuple[slice, slice]:
    """(where in the result, which pixels of the picture) along one side, as `eval_picture` rounds halves."""
    if length < size:
        start = (size - length) // 2
        return slice(start, start + length), slice(None)
    start = round((length - size) / 2)
    return slice(None), slice(start, start + size)
