"""Fast pixels: near the exact ones for every size, shape and mode; what is not fast is exact; the same is refused."""

import io
import itertools
import resource
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image

from evaluation.encoding.fast_pictures import fast_picture
from evaluation.encoding.picture_batches import reason_of, streamed_batches
from evaluation.encoding.pictures import eval_picture
from evaluation.encoding.preprocess import Preprocess
from evaluation.errors import UnreadableImageError
from tests.conftest import PROJECT
from tests.picture_bodies import damaged, encode, jpeg, pixels

pytestmark = pytest.mark.torch

SIZE = 32
MODES = list(itertools.product(["shortest", "squash", "longest"], ["bicubic", "bilinear"]))
WHOLE = [(32, 32), (33, 65), (20, 31), (31, 20), (100, 41), (127, 127), (600, 20), (41, 200)]
"""Sizes that are decoded at full scale."""
SCALED = [(128, 128), (129, 131), (257, 259), (263, 300), (300, 800), (515, 513), (519, 527), (1027, 771)]
"""At 1/2, 1/4 or 1/8, in half with last pixels that count in part."""


def noise(width: int, height: int) -> bytes:
    random = np.random.default_rng(width * height)
    return simplejpeg.encode_jpeg(random.integers(0, 256, (height, width, 3), dtype=np.uint8), 90, "RGB", "420")


def differences(data: bytes, resize_mode: str, interpolation: str) -> tuple[float, int]:
    """Mean and largest difference from the exact pixels, in levels of 255."""
    exact = eval_picture(data, SIZE, interpolation, resize_mode)
    fast = fast_picture(data, SIZE, interpolation, resize_mode)
    assert fast.dtype == np.uint8 and fast.shape == exact.shape and fast.flags.writeable
    difference = np.abs(exact.astype(int) - fast)
    return float(difference.mean()), int(difference.max())


@pytest.mark.parametrize(("resize_mode", "interpolation"), MODES)
def test_at_full_scale_whatever_is_shown_is_the_same_but_for_rounding(resize_mode, interpolation):
    for size in WHOLE:
        for data in (noise(*size), jpeg(1, *size)):
            mean, most = differences(data, resize_mode, interpolation)
            assert mean <= 0.5 and most <= 8, (size, mean, most)


@pytest.mark.parametrize(("resize_mode", "interpolation"), MODES)
def test_at_a_smaller_scale_photos_are_near(resize_mode, interpolation):
    for size in SCALED:
        mean, most = differences(jpeg(1, *size), resize_mode, interpolation)
        assert mean <= 1.0 and most <= 8, (size, mean, most)


@pytest.mark.parametrize(("resize_mode", "interpolation"), MODES)
def test_at_a_smaller_scale_noise_is_the_worst(resize_mode, interpolation):
    for size in SCALED:
        mean, most = differences(noise(*size), resize_mode, interpolation)
        assert mean <= 3.5 and most <= 18, (size, mean, most)


def test_large_photos_are_decoded_at_a_smaller_scale_and_others_are_not(monkeypatch):
    decode, shapes = simplejpeg.decode_jpeg, []

    def noted(*given, **more):
        shapes.append(decode(*given, **more).shape[:2])
        return decode(*given, **more)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    for width, height in [(200, 127), (200, 128), (255, 256), (256, 300), (513, 520), (3000, 2000)]:
        fast_picture(jpeg(1, width, height), SIZE)
    assert shapes == [(127, 200), (64, 100), (128, 128), (75, 64), (65, 65), (250, 375)]


OTHERS = {
    "grey": encode(pixels(1), "L", "JPEG"),
    "CMYK": encode(pixels(1), "CMYK", "JPEG"),
    "PNG": encode(pixels(1), "RGB", "PNG"),
    "PNG with transparency": encode(pixels(1), "RGBA", "PNG"),
    "WEBP": encode(pixels(1), "RGB", "WEBP"),
    "damaged, but Pillow shows it": damaged(jpeg(1, 400, 300)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_has_the_exact_pixels(name):
    for resize_mode, interpolation in MODES:
        exact = eval_picture(OTHERS[name], SIZE, interpolation, resize_mode)
        np.testing.assert_array_equal(fast_picture(OTHERS[name], SIZE, interpolation, resize_mode), exact)


def of_another_size(data: bytes, width: int, height: int) -> bytes:
    """The JPEG, whose header says that it is of this size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


REFUSED = {
    "empty": b"",
    "text": b"<html>not found</html>",
    "begins as a JPEG": b"\xff\xd8\xff\xe0 and goes on otherwise",
    "cut in the header": jpeg(1)[:100],
    "cut in the middle": jpeg(1, 400, 300)[:9000],
    "cut in the middle, large": jpeg(1, 2000, 1500)[:90_000],
    "bomb": of_another_size(jpeg(1), 20_000, 20_000),
    "too thin": jpeg(1, 200, 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_is_refused_for_the_same_reason(name):
    reasons = []
    for picture in (eval_picture, fast_picture):
        with pytest.raises(UnreadableImageError) as refused:
            picture(REFUSED[name], SIZE, resize_mode="longest")
        reasons.append(reason_of(refused.value))
    assert reasons[0] == reasons[1]


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *given, **more: pytest.fail("decoded"))
    with pytest.raises(UnreadableImageError, match="decompression bomb"):
        fast_picture(REFUSED["bomb"], SIZE)


@pytest.mark.parametrize("picture", [eval_picture, fast_picture])
@pytest.mark.parametrize(("width", "height"), [(65_500, 1), (1, 65_500)])
def test_a_picture_too_thin_to_be_resized_is_refused_in_little_memory(picture, width, height):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableImageError, match="too long and thin"):
        picture(jpeg(1, width, height), 224)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_have_the_fast_pixels_whoever_decodes(tmp_path, num_workers):
    paths = [tmp_path / f"{number}.jpg" for number in range(7)]
    for number, path in enumerate(paths):
        path.write_bytes(jpeg(number, 300, 200 + number))
    paths[3].write_bytes(b"x")
    how = Preprocess(SIZE, "bicubic", "shortest", (0, 0, 0), (1, 1, 1), fast_pixels=True)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        made = list(streamed_batches([list(enumerate(paths))[:5], list(enumerate(paths))[5:]], how, num_workers))
    finally:
        torch.set_num_threads(before)
    assert [batch.index_N for batch in made] == [[0, 1, 2, 4], [5, 6]]
    assert made[0].unreadable == [(3, "not a picture of a known format")]
    expected = np.stack([fast_picture(paths[number].read_bytes(), SIZE) for number in (0, 1, 2, 4, 5, 6)])
    np.testing.assert_array_equal(torch.cat([batch.image_NSSC for batch in made]).numpy(), expected)


_USE = """
import io, os, resource, sys
import numpy as np
import torch
from tests.picture_bodies import jpeg
from evaluation.encoding.fast_pictures import fast_picture

small, large = jpeg(1), open(sys.argv[1], "rb").read()
torch.set_num_threads(4)
num_threads = len(os.listdir("/proc/self/task"))
fast_picture(small, 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fast_picture(large, 32)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
fast_picture(jpeg(2, 1000, 900), 224)
print(grown / 1024, len(os.listdir("/proc/self/task")) - num_threads)
"""


def test_a_large_photo_takes_little_memory_and_no_threads_of_torch(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8000, 6000), (10, 200, 30)).save(buffer, "JPEG")
    (tmp_path / "large.jpg").write_bytes(buffer.getvalue())
    command = [sys.executable, "-c", _USE, str(tmp_path / "large.jpg")]
    environment = {"PYTHONPATH": str(PROJECT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    grown_mb, num_begun = map(float, done.stdout.split())
    assert grown_mb < 40  # its pixels are 144 MB
    assert num_begun == 0
