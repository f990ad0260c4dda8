"""Batches go through a model in passes that suit the device: the same rows, and on the CPU the same memory again."""

import platform
import subprocess
import sys

import pytest
import torch

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.forward_passes import CPU_PICTURES, encode_in_passes, pictures_of_a_pass
from evaluation.model import ModelRequest
from evaluation.open_encoder import open_encoder
from tests.conftest import PROJECT
from tests.inference.small_world import write_model

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> OpenClipEncoder:
    return open_encoder(ModelRequest(write_model(tmp_path_factory.mktemp("model") / "small")), torch.device("cpu"))


@pytest.mark.parametrize("num", [1, CPU_PICTURES, CPU_PICTURES + 1, 3 * CPU_PICTURES])
def test_the_cpu_gets_few_pictures_at_a_time_and_the_rows_are_the_same(encoder, monkeypatch, num):
    image_NSSC = torch.randint(0, 256, (num, 16, 16, 3), dtype=torch.uint8)
    expected = encoder.encode_images(image_NSSC)
    sizes = []
    encode = OpenClipEncoder.encode_images

    def noted(self, some_NSSC):
        sizes.append(len(some_NSSC))
        return encode(self, some_NSSC)

    monkeypatch.setattr(OpenClipEncoder, "encode_images", noted)
    found = encode_in_passes(encoder, image_NSSC)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert sum(sizes) == num and max(sizes) <= CPU_PICTURES
    assert torch.equal(encode_in_passes(encoder, image_NSSC), found)


@pytest.mark.parametrize(
    ("tokens", "width", "num"),
    [(197, 768, 8), (257, 1024, 7), (257, 1280, 6), (577, 768, 4), (2**11, 2**11, 1)],
    ids=["ViT-B-16", "ViT-L-14", "ViT-H-14", "ViT-B-16 at 384 px", "larger than any"],
)
def test_a_pass_is_as_large_as_memory_that_is_kept_allows(tokens, width, num):
    model = torch.nn.Module()
    model.visual = torch.nn.Module()
    model.visual.positional_embedding = torch.nn.Parameter(torch.zeros(tokens, width))
    assert pictures_of_a_pass(model) == num
    assert num == 1 or num * tokens * 4 * width * 4 < 2**25
    assert num == CPU_PICTURES or (num + 1) * tokens * 4 * width * 4 >= 2**25


def test_of_a_model_of_another_kind_a_pass_has_few_pictures():
    assert 1 < pictures_of_a_pass(torch.nn.Identity()) < CPU_PICTURES


def test_other_encoders_get_all_at_once():
    class Other:
        def encode_images(self, image_NHWC):
            return torch.full((len(image_NHWC), 2), len(image_NHWC), dtype=torch.bfloat16)

    found = encode_in_passes(Other(), torch.zeros(40, 4, 4, 3, dtype=torch.uint8))  # type: ignore[arg-type]
    assert torch.equal(found, torch.full((40, 2), 40.0))


_FAULTS = """
import resource, torch
from evaluation.encoding.forward_passes import encode_in_passes, pictures_of_a_pass

NUM = pictures_of_a_pass(None)

class Layers:
    device = torch.device("cpu")
    def encode_images(self, image_NHWC):
        inner = torch.zeros(len(image_NHWC), 4 * 2**20 // NUM)  # 16 MB, as one layer's output after the other
        for _ in range(8):
            inner = inner + 1
        return inner[:, :2]

faults = []
image_NSSC = torch.zeros(4 * NUM, 4, 4, 3, dtype=torch.uint8)
torch.set_num_threads(1)
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    encode_in_passes(Layers(), image_NSSC)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other mallocs keep memory as they like")
def test_passes_on_the_cpu_take_the_memory_of_the_one_before():
    done = subprocess.run([sys.executable, "-c", _FAULTS], cwd=PROJECT, capture_output=True, text=True, check=True)
    faults = [int(word) for word in done.stdout.split()][10:]  # until then the heap grows to what a pass needs
    assert sum(faults) < 8 * 4096, (
        faults
    )  # one layer's output is 4,096 pages; given back, some come anew in most passes
