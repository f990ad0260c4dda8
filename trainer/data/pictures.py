"""A compressed picture -> the random crop that the model is trained on.

`exact` gives the pixels of open_clip's train transform for the same crop box. `fast` costs less (docs/LOG.md):

- a JPEG is decoded by libjpeg-turbo at 1/2, 1/4 or 1/8 where the crop stays at least twice as large as the result
  (other scales have no SIMD code and cost more than they save; a smaller margin shows the rounded crop's edges);
- torch's antialiased bicubic for uint8 has SIMD code that Pillow lacks, with the same filter.

Shapes: S picture edge in px; H, W, C height, width, colour.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch.nn.functional import interpolate

from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings

_CROP_TRIES = 10
_NUMBERS = 4 * _CROP_TRIES
_FAST_MARGIN = 2
_PILLOW_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_TURBO_COLOURS = frozenset({"YCbCr", "RGB", "Gray"})
_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # Pillow's own limit


@dataclass(frozen=True)
class Box:
    """A crop, px."""

    left: int
    top: int
    width: int
    height: int


def train_picture(data: bytes, settings: DataSettings, generator: np.random.Generator) -> np.ndarray:
    """A random crop of a picture, uint8 RGB [S, S, 3], S = settings.image_size.

    The box is the same in both modes, for equal settings and generator.

    Args:
        data: the file, in any format that Pillow reads.
        settings: image_size, resize, interpolation, crop_scale, crop_ratio.
        generator: the pair's own.

    Raises:
        BadSample: undecodable_image.
    """
    numbers = generator.random(_NUMBERS)
    if settings.resize == "fast" and data[:2] == b"\xff\xd8":
        try:
            header_height, header_width, colours, _ = simplejpeg.decode_jpeg_header(data)
            height, width = int(header_height), int(header_width)
            if colours in _TURBO_COLOURS and height * width <= _MOST_PIXELS:
                return _fast_crop(data, width, height, crop_box(width, height, settings, numbers), settings)
        except ValueError:
            pass  # Pillow has the last word on what can be read, so that both modes use the same pairs
    return _pillow_crop(data, settings, numbers)


def crop_box(width: int, height: int, settings: DataSettings, numbers: np.ndarray) -> Box:
    """The crop of a picture that 40 numbers in [0, 1) stand for.

    Source: torchvision 0.29, RandomResizedCrop.get_params, the same distribution.
    """
    low, high = (math.log(ratio) for ratio in settings.crop_ratio)
    smallest, largest = settings.crop_scale
    for share, shape, down, right in numbers.reshape(_CROP_TRIES, 4).tolist():
        area = width * height * (smallest + share * (largest - smallest))
        ratio = math.exp(low + shape * (high - low))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return Box(int(right * (width - w + 1)), int(down * (height - h + 1)), w, h)
    return _central_box(width, height, settings.crop_ratio)


def exact_crop(picture: Image.Image, box: Box, settings: DataSettings) -> np.ndarray:
    """The crop of an RGB picture as torchvision's resized_crop makes it, uint8 [S, S, 3].

    Cropped before it is resized: a filter that is given the box alone would look over its edges.
    """
    crop = picture.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    size = (settings.image_size, settings.image_size)
    return np.asarray(crop.resize(size, _PILLOW_FILTERS[settings.interpolation]))


def _central_box(width: int, height: int, ratios: tuple[float, float]) -> Box:
    """The largest central box of an allowed shape, for pictures longer than those that boxes are drawn from."""
    w, h = width, height
    if width / height < min(ratios):
        h = round(width / min(ratios))
    elif width / height > max(ratios):
        w = round(height * max(ratios))
    return Box((width - w) // 2, (height - h) // 2, w, h)


def _pillow_crop(data: bytes, settings: DataSettings, numbers: np.ndarray) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly any type on damaged bytes; none may end a run
        raise BadSample("undecodable_image") from error
    box = crop_box(picture.width, picture.height, settings, numbers)
    if settings.resize == "fast":
        return _shrunk(np.asarray(picture), box, settings.image_size)
    return exact_crop(picture, box, settings)


def _fast_crop(data: bytes, width: int, height: int, box: Box, settings: DataSettings) -> np.ndarray:
    factor = 1
    while factor < 8 and min(box.width, box.height) >= 2 * factor * _FAST_MARGIN * settings.image_size:
        factor *= 2
    min_width, min_height = math.ceil(width / factor), math.ceil(height / factor)
    pixel_HWC = simplejpeg.decode_jpeg(data, min_width=min_width, min_height=min_height, min_factor=factor)
    scaled = _scaled(box, pixel_HWC.shape[1] / width, pixel_HWC.shape[0] / height)
    return _shrunk(pixel_HWC, scaled, settings.image_size)


def _scaled(box: Box, x: float, y: float) -> Box:
    left, top = round(box.left * x), round(box.top * y)
    right, bottom = round((box.left + box.width) * x), round((box.top + box.height) * y)
    return Box(left, top, right - left, bottom - top)


def _shrunk(pixel_HWC: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The box of a picture at [size, size, 3], antialiased; other memory layouts than this one have no SIMD code."""
    crop_HWC = pixel_HWC[box.top : box.top + box.height, box.left : box.left + box.width]
    crop_BCHW = torch.from_numpy(np.require(crop_HWC, requirements="W")).permute(2, 0, 1).unsqueeze(0)
    small_BCHW = interpolate(crop_BCHW, size=(size, size), mode="bicubic", antialias=True)
    return small_BCHW[0].permute(1, 2, 0).numpy()
