"""Decoded pictures: to upright sRGB on white, from any mode, and scaled.

Arrays are uint8: (height, width) for grey, else (height, width, channels).
"""

import functools
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from spark_jobs.image_formats import Format, ImageRejected
from spark_jobs.jpeg_header import EXIF_LABEL, exif_orientation
from spark_jobs.statuses import Status

SRGB_TOLERANCE = 2
"""A profile that moves no colour of a coarse grid by more levels than this is sRGB under some name."""

_TO_8_BITS = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)
"""16-bit level -> 8-bit level: scaled, where a plain cast would wrap and Pillow's own conversion clips."""

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def decode_other(body: bytes, kind: Format, check_size: Callable[[int, int], None]) -> np.ndarray:
    """The upright sRGB pixels, (height, width, 3), of the first frame of a PNG, WebP or GIF, on white.

    Args:
        body: the file.
        kind: the format that its first bytes name; no other is tried.
        check_size: raises for a width and height that are not wanted; a GIF's first frame may exceed its header.

    Raises:
        ImageRejected: corrupt_image or too_many_pixels, or what `check_size` raises.
    """
    try:
        with Image.open(io.BytesIO(body), formats=(kind.value,)) as picture:
            check_size(*picture.size)
            picture.load()
            return turn_upright(_flatten(picture), _orientation(picture))
    except (ImageRejected, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageRejected(Status.CORRUPT_IMAGE, f"{kind}: the header is damaged") from error
    except Image.DecompressionBombError as error:
        raise ImageRejected(Status.TOO_MANY_PIXELS, f"{kind}: {error}") from error
    except Exception as error:  # Pillow's decoders raise nearly any type on hostile bytes; none may end a shard
        raise ImageRejected(Status.CORRUPT_IMAGE, f"{kind}: {type(error).__name__}: {error}") from error


def _orientation(picture: Image.Image) -> int:
    exif = picture.info.get("exif")
    return exif_orientation(exif.removeprefix(EXIF_LABEL)) if isinstance(exif, bytes) else 1


def _flatten(picture: Image.Image) -> np.ndarray:
    """The sRGB pixels on white of a loaded picture of any mode."""
    profile = picture.info.get("icc_profile") or None
    alpha: np.ndarray | None = None
    if picture.mode.startswith("I"):
        wide = np.asarray(picture).clip(0, 65535).astype(np.uint16)
        colours = _TO_8_BITS[wide]
        if (key := picture.info.get("transparency")) is not None:
            alpha = np.where(wide == key, 0, 255).astype(np.uint8)
    else:
        grey = picture.mode in _GREY_MODES
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            alpha = np.asarray(picture.getchannel("A"))
            picture = picture.convert("RGB")
        colours = np.asarray(picture.convert("L" if grey else "RGB"))
    colours = to_srgb(colours, profile)
    return colours if alpha is None else _on_white(colours, alpha)


def _on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weight = alpha[:, :, None].astype(np.uint16)
    return ((colours * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def to_srgb(colours: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Grey, RGB or CMYK (255 = full ink) pixels as sRGB, (height, width, 3), through their ICC profile.

    A profile that cannot be read, or is for other colours than these, is ignored, as browsers do.
    """
    mode = _MODES[1 if colours.ndim == 2 else colours.shape[2]]
    transform = _transform(profile, mode) if profile else None
    if transform is None and mode == "RGB":
        return colours
    picture = Image.fromarray(colours, mode)
    if transform is None:
        return np.asarray(picture.convert("RGB"))
    converted = ImageCms.applyTransform(picture, transform)
    assert converted is not None
    return np.asarray(converted)


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from a profile to sRGB, perceptual; None where the profile does not fit pixels of this mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """True where RGB pixels look the same without this profile: it is sRGB, or nothing that can be used."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    return int(np.abs(to_srgb(grid, profile).astype(int) - grid).max()) <= SRGB_TOLERANCE


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels as their EXIF orientation, 1-8, wants them shown. Source: EXIF 2.32, tag 0x0112."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def within_edge(width: int, height: int, max_edge_px: int | None) -> tuple[int, int]:
    """Width and height scaled so that the longer one is at most `max_edge_px`; never enlarged, never below 1."""
    longest = max(width, height)
    if max_edge_px is None or longest <= max_edge_px:
        return width, height
    return (
        max(1, round(width * max_edge_px / longest)),
        max(1, round(height * max_edge_px / longest)),
    )


def shrink(pixels: np.ndarray, max_edge_px: int | None) -> np.ndarray:
    """RGB pixels with no side longer than `max_edge_px`."""
    height, width = pixels.shape[:2]
    size = within_edge(width, height, max_edge_px)
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.LANCZOS))
