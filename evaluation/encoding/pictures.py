"""A picture as a model sees it in evaluation: the pixels of open_clip's evaluation transform, before normalisation.

Decoded, resized and cropped by Pillow alone, so that loading workers need no torch. As in open_clip, the orientation
in EXIF is not applied and the mode is changed to RGB last.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from evaluation.errors import UnreadableImageError

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM")
"""What pictures may be: none of them makes Pillow start another program, as PostScript would."""

MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Above it Pillow refuses a picture as a decompression bomb, and `fitted_size` one that would become so large."""

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def eval_picture(
    source: bytes | Path, size: int, interpolation: str = "bicubic", resize_mode: str = "shortest"
) -> np.ndarray:
    """Pixels [size, size, 3], uint8 RGB, writable.

    Args:
        source: the encoded picture, or its file.
        size: side, px.
        interpolation: "bicubic" or "bilinear".
        resize_mode: "shortest": the short side becomes `size`, then the centre is cut out; "squash": both sides do;
            "longest": the long side does, then black is added on both sides.

    Raises:
        UnreadableImageError: it cannot be opened or decoded whole.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as picture:
            fitted = picture.resize(fitted_size(*picture.size, size, resize_mode), _FILTERS[interpolation])
            return np.array(_centre(fitted, size).convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        # Pillow's plugins raise SyntaxError and ValueError for headers that make no sense
        name = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
        raise UnreadableImageError(f"{name}: {error}") from error


def fitted_size(width: int, height: int, size: int, resize_mode: str) -> tuple[int, int]:
    """Width and height that a picture is resized to, before it is cut or padded to the square; one may be 0.

    Args:
        width: of the picture, px.
        height: of the picture, px.
        size: side of the square.
        resize_mode: "shortest", "squash" or "longest".

    Raises:
        ValueError: it would have more than MOST_PIXELS.
    """
    if resize_mode == "squash":
        return size, size
    if resize_mode == "longest":
        ratio = max(width, height) / size
        return round(width / ratio), round(height / ratio)
    # torchvision rounds the long side down
    long = int(size * max(width, height) / min(width, height))
    if size * long > MOST_PIXELS:
        raise ValueError(f"{width:,} x {height:,} px is too long and thin: {size * long:,} px when resized to {size}")
    return (size, long) if width <= height else (long, size)


def _centre(picture: Image.Image, size: int) -> Image.Image:
    """The middle size x size px; black where the picture ends before."""
    width, height = picture.size
    if width < size or height < size:
        wide = Image.new(picture.mode, (max(width, size), max(height, size)))
        wide.paste(picture, (max(0, (size - width) // 2), max(0, (size - height) // 2)))
        picture, (width, height) = wide, wide.size
    # halves go to the even side, as in torchvision
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.crop((left, top, left + size, top + size))
