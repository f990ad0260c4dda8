"""Batches go through a model in passes that suit the device: the same rows, and on the CPU the same memory again."""

import platform
import subprocess
import sys

import pytest
import torch

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.forward_passes import CPU_PICTURES, encode_in_passes
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


def test_other_encoders_get_all_at_once():
    class Other:
        def encode_images(self, image_NHWC):
            return torch.full((len(image_NHWC), 2), len(image_NHWC), dtype=torch.bfloat16)

    found = encode_in_passes(Other(), torch.zeros(40, 4, 4, 3, dtype=torch.uint8))  # type: ignore[arg-type]
    assert torch.equal(found, torch.full((40, 2), 40.0))


_FAULTS = """
import resource, torch
from evaluation.encoding.forward_passes import CPU_PICTURES, encode_in_passes

class Layers:
    device = torch.device("cpu")
    def encode_images(self, image_NHWC):
        inner = torch.zeros(len(image_NHWC), 4 * 2**20 // CPU_PICTURES)  # 16 MB, as one layer's output after the other
        for _ in range(8):
            inner = inner + 1
        return inner[:, :2]

faults = []
image_NSSC = torch.zeros(4 * CPU_PICTURES, 4, 4, 3, dtype=torch.uint8)
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
