"""Pixels are those of open_clip's transform, and what is no whole picture is unreadable."""

import io

import numpy as np
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image

from evaluation.encoding.pictures import eval_picture
from evaluation.errors import UnreadableImageError

pytestmark = pytest.mark.torch

RNG = np.random.default_rng(3)
SIZES = [(40, 40), (64, 48), (48, 64), (65, 33), (33, 65), (41, 200), (200, 41), (20, 31), (31, 20), (32, 32), (32, 77)]


def encoded(width: int, height: int, mode: str = "RGB", form: str = "JPEG") -> bytes:
    noise = Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    noise.save(buffer, form)
    return buffer.getvalue()


def peer(data: bytes, size: int, interpolation: str, resize_mode: str) -> np.ndarray:
    """The pixels of open_clip's own evaluation transform."""
    transform = image_transform(size, False, (0, 0, 0), (1, 1, 1), resize_mode, interpolation)
    pixels_CHW = transform(Image.open(io.BytesIO(data)))
    return (pixels_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_pixels_are_those_of_open_clip(interpolation, resize_mode):
    for size in (32, 33):
        for width, height in SIZES:
            data = encoded(width, height)
            made = eval_picture(data, size, interpolation, resize_mode)
            assert made.dtype == np.uint8 and made.shape == (size, size, 3) and made.flags.writeable
            np.testing.assert_array_equal(made, peer(data, size, interpolation, resize_mode), str((width, height)))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_other_modes_too(mode):
    data = encoded(50, 37, mode, "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(eval_picture(data, 32), peer(data, 32, "bicubic", "shortest"))


def test_a_file_gives_what_its_bytes_give(tmp_path):
    data = encoded(50, 40)
    (tmp_path / "a.jpg").write_bytes(data)
    np.testing.assert_array_equal(eval_picture(tmp_path / "a.jpg", 32), eval_picture(data, 32))


@pytest.mark.parametrize("cut", [0, 10, 300, -200])
def test_a_cut_picture_is_unreadable(cut):
    with pytest.raises(UnreadableImageError):
        eval_picture(encoded(60, 60)[:cut], 32)


def test_a_missing_file_and_other_bytes_are_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"nowhere\.jpg"):
        eval_picture(tmp_path / "nowhere.jpg", 32)
    with pytest.raises(UnreadableImageError):
        eval_picture(b"<html>not found</html>", 32)
