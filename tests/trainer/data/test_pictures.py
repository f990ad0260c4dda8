"""Crops: the pixels of open_clip's train transform, or nearly those; and what cannot be decoded.

Shapes: H, W, C height, width, colour.
"""

import io
from pathlib import Path

import numpy as np
import open_clip.transform
import pytest
import simplejpeg
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from tests.conftest import PROJECT
from tests.trainer.small_dataset import byte_tokens
from trainer.data.bad_samples import BadSample
from trainer.data.batch import DataSettings
from trainer.data.draws import generator
from trainer.data.pictures import crop_box, train_picture

pytestmark = pytest.mark.torch

PHOTOS = sorted((PROJECT / "sample" / "photos").glob("*.jpg"))
EXACT = DataSettings(1, 1, 0, 0, 224, byte_tokens)
FAST = DataSettings(1, 1, 0, 0, 224, byte_tokens, resize="fast")


def textured(width: int, height: int) -> Image.Image:
    """Noise with the spectrum of natural pictures: amplitude falls as frequency^-1.2, mostly in brightness."""
    rng = np.random.default_rng(width * height)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    frequency **= 1.2
    noise = [np.fft.rfft2(rng.normal(size=(height, width))) for _ in range(3)]
    colour_HWC = np.stack([np.fft.irfft2(plane / frequency, (height, width)) for plane in noise], axis=-1)
    pixel_HWC = colour_HWC[:, :, :1] + 0.25 * colour_HWC
    return Image.fromarray((128 + 50 * pixel_HWC / pixel_HWC.std()).clip(0, 255).astype(np.uint8))


def encoded(picture: Image.Image, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return file.getvalue()


def crop(data: bytes, settings: DataSettings, number: int = 0) -> np.ndarray:
    return train_picture(data, settings, generator(0, 0, number, "pair"))


def drawn_box(size: tuple[int, int], number: int) -> tuple[int, int, int, int]:
    """top, left, height, width, as torchvision orders them."""
    box = crop_box(*size, EXACT, generator(0, 0, number, "pair").random(40))
    return box.top, box.left, box.height, box.width


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (60, 50), (300, 40), (224, 224)])
def test_exact_equals_open_clips_train_transform(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    transform = open_clip.transform.image_transform(224, is_train=True, mean=(0, 0, 0), std=(1, 1, 1))
    data = encoded(textured(*size))
    for number in range(4):
        box = drawn_box(size, number)
        monkeypatch.setattr(RandomResizedCrop, "get_params", staticmethod(lambda *_, box=box: box))
        theirs_CHW = transform(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(crop(data, EXACT, number), (theirs_CHW * 255).round().byte().permute(1, 2, 0).numpy())


@pytest.mark.parametrize("size", [(500, 375), (90, 100), (7, 9)])
def test_boxes_are_drawn_as_torchvision_draws_them(size: tuple[int, int]):
    """Means and spreads of left, top, width and height agree within five standard errors."""
    torch.manual_seed(0)
    draws = 3000
    picture = torch.empty(3, size[1], size[0])
    ours = np.array([drawn_box(size, number) for number in range(draws)], dtype=float)
    theirs = np.array(
        [RandomResizedCrop.get_params(picture, [0.9, 1.0], [3 / 4, 4 / 3]) for _ in range(draws)], dtype=float
    )
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / draws) + 1e-9
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * error).all()
    assert np.allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.12)
    assert ours.min() >= 0 and (ours[:, 0] + ours[:, 2]).max() == size[1] and (ours[:, 1] + ours[:, 3]).max() == size[0]


@pytest.mark.parametrize("size", [(1000, 100), (100, 1000)])
def test_a_long_picture_gets_the_central_box(size: tuple[int, int]):
    picture = torch.empty(3, size[1], size[0])
    assert drawn_box(size, 0) == RandomResizedCrop.get_params(picture, [0.9, 1.0], [3 / 4, 4 / 3])


def difference(data: bytes, number: int) -> float:
    """Mean absolute difference of the two modes, levels."""
    return float(np.abs(crop(data, FAST, number).astype(int) - crop(data, EXACT, number)).mean())


def test_fast_equals_exact_to_a_level_where_nothing_is_scaled():
    for number, path in enumerate(PHOTOS):
        data = path.read_bytes()
        assert np.abs(crop(data, FAST, number).astype(int) - crop(data, EXACT, number)).max() <= 2
    assert difference(encoded(textured(500, 375)), 0) < 0.01


def test_fast_differs_by_at_most_three_levels_in_the_mean():
    for size in ((1024, 768), (1050, 1000)):
        data = encoded(textured(*size))
        assert np.mean([difference(data, number) for number in range(3)]) <= 3, size


def test_fast_differs_by_at_most_three_levels_for_large_photos(shared: Path):
    large = sorted((shared / "data" / "odd_images").glob("speciesnet__*.jpg"))
    large = [path for path in large if Image.open(path).mode == "RGB" and readable(path, EXACT)]
    assert len(large) >= 3
    for number, path in enumerate(large):
        assert difference(path.read_bytes(), number) <= 3, path.name


def test_fast_decodes_large_pictures_at_a_fraction(monkeypatch: pytest.MonkeyPatch):
    decode = simplejpeg.decode_jpeg
    shapes = []

    def noted(*args: object, **named: object) -> np.ndarray:
        shapes.append((pixels := decode(*args, **named)).shape)
        return pixels

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    for size in ((500, 375), (1024, 1000), (2048, 2000)):
        crop(encoded(Image.new("RGB", size)), FAST)
    assert shapes == [(375, 500, 3), (500, 512, 3), (500, 512, 3)]


@pytest.mark.parametrize("settings", [EXACT, FAST], ids=["exact", "fast"])
@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1"])
def test_every_mode_becomes_rgb(mode: str, settings: DataSettings):
    picture = textured(80, 70).convert(mode)
    data = encoded(picture, "JPEG" if mode in ("L", "CMYK") else "PNG")
    as_rgb = crop(encoded(picture.convert("RGB"), "PNG"), EXACT).astype(int)
    assert crop(data, settings).shape == (224, 224, 3) and np.abs(crop(data, settings) - as_rgb).mean() < 6


@pytest.mark.parametrize("settings", [EXACT, FAST], ids=["exact", "fast"])
def test_what_cannot_be_decoded_is_a_bad_sample(settings: DataSettings):
    good = encoded(textured(200, 150))
    bad = {
        "empty": b"",
        "text": b"<html>not found</html>",
        "header only": good[:40],
        "truncated": good[: len(good) // 2],
        "a JPEG's first bytes": b"\xff\xd8\xff" + bytes(500),
    }
    for name, data in bad.items():
        with pytest.raises(BadSample) as caught:
            crop(data, settings)
        assert caught.value.reason == "undecodable_image", name


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on the odd files
def test_both_modes_use_the_same_pictures_of_the_odd_ones(shared: Path):
    """Odd files from other projects' tests: what one mode can read, the other can."""
    odd = sorted((shared / "data" / "odd_images").iterdir())
    outcomes = {path.name: (readable(path, EXACT), readable(path, FAST)) for path in odd if path.stat().st_size < 10**6}
    assert {name: pair for name, pair in outcomes.items() if pair[0] != pair[1]} == {}
    assert {pair[0] for pair in outcomes.values()} == {True, False}


def readable(path: Path, settings: DataSettings) -> bool:
    try:
        return train_picture(path.read_bytes(), settings, generator(0, 0, 0, "pair")).shape == (224, 224, 3)
    except BadSample:
        return False


def test_scale_and_ratio_settings_are_obeyed():
    narrow = DataSettings(1, 1, 0, 0, 64, byte_tokens, crop_scale=(0.2, 0.3), crop_ratio=(1.0, 1.0))
    for number in range(50):
        box = crop_box(400, 300, narrow, generator(0, 0, number, "pair").random(40))
        assert box.width == box.height and 0.19 <= box.width * box.height / (400 * 300) <= 0.31
