"""Bytes in, one checked picture out: an upright 8-bit sRGB JPEG that decodes without complaint, or a typed refusal.

A JPEG that is one already keeps its bytes; so does the picture data of one with only stray bytes between header
segments or an sRGB profile, which are cut out. Everything else is decoded and encoded anew.
"""

import contextlib
import hashlib
import threading
from dataclasses import dataclass

import numpy as np
import simplejpeg

from spark_jobs.image_formats import ImageRejected, read_header
from spark_jobs.jpeg_header import JpegHeader
from spark_jobs.pixels import decode_other, is_srgb, shrink, to_srgb, turn_upright, within_edge
from spark_jobs.statuses import Status

__all__ = ["CheckedImage", "ImageLimits", "ImageRejected", "check_image"]

CONVERTED = (95, "444")
"""Quality and chroma of converted originals: they are few, so spend bytes and keep what colour detail there is."""

CONVERTED_SUBSAMPLED = (95, "420")
"""The same for a JPEG whose chroma was halved already: 4:4:4 would add a third to its size and no detail."""

RENDITION = (90, "420")
"""Of reduced renditions: made to be small."""

PLACEHOLDER_SPREAD = 2
"""Largest difference, in levels of 255, within each colour of a picture that counts as one single colour."""

_SAMPLED = 61
"""One pixel in so many shows that most pictures are of several colours; the others are looked at whole."""

BIG_PIXELS = 8_000_000
"""Above this size only one picture per process is held as pixels at a time: 24 MB and more each."""

_big_picture = threading.Lock()


@dataclass(frozen=True)
class ImageLimits:
    """Which pictures are refused by the size in their header, before any pixel is decoded.

    Attributes:
        max_pixels: largest width x height, inclusive.
        min_side_px: smallest width and height, inclusive.
    """

    max_pixels: int = 64_000_000
    min_side_px: int = 16

    def check(self, width: int, height: int) -> None:
        """Raise ImageRejected, too_many_pixels or too_small, for a size outside the limits."""
        if width * height > self.max_pixels:
            raise ImageRejected(Status.TOO_MANY_PIXELS, f"{width} x {height} px, {self.max_pixels} pixels allowed")
        if min(width, height) < self.min_side_px:
            raise ImageRejected(Status.TOO_SMALL, f"{width} x {height} px, {self.min_side_px} needed on each side")


@dataclass(frozen=True)
class CheckedImage:
    """A picture ready to be stored.

    Attributes:
        data: an upright 8-bit RGB JPEG.
        sha256: of `data`, 32 bytes.
        width, height: of `data`, px.
    """

    data: bytes
    sha256: bytes
    width: int
    height: int


def check_image(body: bytes, limits: ImageLimits, max_edge_px: int | None = None) -> CheckedImage:
    """The picture to store for a downloaded body.

    Args:
        body: what the server sent.
        limits: refuse by header size.
        max_edge_px: None keeps the size; else a longer edge is scaled down to this.

    Raises:
        ImageRejected: not_an_image, corrupt_image, too_many_pixels, too_small or placeholder.
    """
    header = read_header(body)
    limits.check(header.width, header.height)
    with _big_picture if header.width * header.height > BIG_PIXELS else contextlib.nullcontext():
        if header.jpeg is not None:
            return _check_jpeg(body, header.jpeg, max_edge_px)
        pixels = decode_other(body, header.format, limits.check)
        _refuse_single_colour(pixels)
        return _encode(pixels, CONVERTED, max_edge_px)


def _check_jpeg(body: bytes, jpeg: JpegHeader, max_edge_px: int | None) -> CheckedImage:
    """The form of a JPEG to store."""
    data = body if jpeg.clean is None else jpeg.clean
    size = within_edge(jpeg.width, jpeg.height, max_edge_px)
    if size == (jpeg.width, jpeg.height) and _is_plain(jpeg):
        _refuse_single_colour(_decode_strictly(data, jpeg, (1, 1)))
        return CheckedImage(data, hashlib.sha256(data).digest(), *size)
    pixels = _decode_strictly(data, jpeg, size)
    _refuse_single_colour(pixels)
    if jpeg.num_components == 4:
        pixels = 255 - pixels  # CMYK in JPEG is stored inverted; Pillow and browsers assume so, marker or not
    pixels = turn_upright(to_srgb(pixels, jpeg.icc_profile), jpeg.orientation)
    return _encode(pixels, CONVERTED if jpeg.full_chroma else CONVERTED_SUBSAMPLED, max_edge_px)


def _is_plain(jpeg: JpegHeader) -> bool:
    """True where the picture data can be stored as it is."""
    upright_colour = jpeg.num_components == 3 and jpeg.precision == 8 and jpeg.orientation == 1
    return upright_colour and (jpeg.icc_profile is None or is_srgb(jpeg.icc_profile))


def _decode_strictly(data: bytes, jpeg: JpegHeader, at_least: tuple[int, int]) -> np.ndarray:
    """Pixels, uint8, (height, width) or (height, width, 3 or 4), scaled by 1/8 at most but not below `at_least`.

    Every entropy-coded byte is read whatever the scale.

    Raises:
        ImageRejected: corrupt_image, on any complaint of the decoder.
    """
    colours = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(jpeg.num_components)
    if colours is None or jpeg.precision != 8:
        kind = f"{jpeg.num_components} components of {jpeg.precision} bits"
        raise ImageRejected(Status.NOT_AN_IMAGE, f"a JPEG of {kind}, which no browser shows")
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, min_width=at_least[0], min_height=at_least[1], min_factor=1)
    except ValueError as error:
        raise ImageRejected(Status.CORRUPT_IMAGE, f"JPEG: {error}") from error
    return pixels[:, :, 0] if colours == "GRAY" else pixels


def _refuse_single_colour(pixels: np.ndarray) -> None:
    """Raise ImageRejected, placeholder, where no colour of the pixels varies."""
    colours = pixels.reshape(-1, pixels.shape[2]) if pixels.ndim == 3 else pixels.reshape(-1, 1)
    if _spread(colours[::_SAMPLED]) <= PLACEHOLDER_SPREAD and _spread(colours) <= PLACEHOLDER_SPREAD:
        raise ImageRejected(Status.PLACEHOLDER, f"one single colour, {tuple(map(int, colours[0]))}")


def _spread(colours: np.ndarray) -> int:
    """The largest difference within a column, of uint8 (n, channels)."""
    return int((colours.max(axis=0).astype(int) - colours.min(axis=0)).max())


def _encode(pixels: np.ndarray, encoding: tuple[int, str], max_edge_px: int | None) -> CheckedImage:
    """Upright RGB pixels as a JPEG; scaled down where they exceed the edge, then in the renditions' own encoding."""
    small = np.ascontiguousarray(shrink(pixels, max_edge_px))
    height, width = small.shape[:2]
    quality, chroma = encoding if max_edge_px is None else RENDITION
    data = simplejpeg.encode_jpeg(small, quality, "RGB", chroma)
    return CheckedImage(data, hashlib.sha256(data).digest(), width, height)
