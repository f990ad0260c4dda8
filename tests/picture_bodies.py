"""Small pictures in memory for tests: sound ones that differ by number, and broken ones made of them."""

import io

import numpy as np
import simplejpeg
from PIL import Image


def pixels(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth colour pattern with some noise, uint8, (height, width, 3); equal for equal arguments."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width] * (96 / max(width, height))
    waves = [np.sin(x / random.uniform(5, 20) + y / random.uniform(5, 20)) for _ in range(3)]
    noise = random.normal(0, 6, (height, width, 3))
    return (128 + 90 * np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def jpeg(number: int, width: int = 96, height: int = 64, quality: int = 90) -> bytes:
    """A plain upright RGB JPEG."""
    return simplejpeg.encode_jpeg(pixels(number, width, height), quality, "RGB", "420")


def jpeg_of_size(number: int, num_bytes: int) -> bytes:
    """A plain JPEG of about this many bytes, at least 5,000: the noise costs 0.29 bytes per pixel."""
    side = int((num_bytes / 0.29) ** 0.5)
    return jpeg(number, side, side)


def damaged(body: bytes) -> bytes:
    """The JPEG with noise in the second half of its picture data, its end mark kept."""
    middle = len(body) // 2
    noise = np.random.default_rng(0).integers(0, 255, len(body) - middle - 2, dtype=np.uint8).tobytes()
    return body[:middle] + noise + body[-2:]


def encode(array: np.ndarray, mode: str, format: str, **options: object) -> bytes:
    """A file of any format that Pillow writes, of pixels in any mode."""
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The pixels of a JPEG, which must decode without complaint."""
    return simplejpeg.decode_jpeg(data, "RGB")


HTML = b"<!DOCTYPE html><html><body>Not here any more.</body></html>"
