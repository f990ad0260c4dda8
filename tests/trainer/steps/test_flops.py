"""Operations of a training step, against open_clip's figures and torch's counter, and peaks of GPUs."""

import open_clip
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainer.steps.flops import mfu, model_flops, peak_flops, peak_of, train_flops

pytestmark = pytest.mark.torch

PROFILED = {
    "ViT-S-32-alt": (2.29, 1.27),
    "ViT-B-32": (8.82, 5.96),
    "ViT-B-32-plus-256": (15.56, 9.27),
    "ViT-B-16": (35.13, 5.96),
    "ViT-B-16-plus-240": (54.76, 9.27),
    "ViT-L-14": (162.03, 13.30),
    "ViT-L-14-336": (381.92, 13.30),
    "ViT-L-14-CLIPA": (162.03, 5.47),
    "ViT-H-14": (334.59, 47.09),
    "ViT-g-14": (534.06, 47.09),
    "ViT-bigG-14": (967.50, 97.86),
}
"""Model -> forward GFLOP of a picture and of a text. Source: open_clip, docs/model_profile.csv."""


@pytest.mark.parametrize("name", PROFILED)
def test_the_formula_gives_open_clips_profiled_figures(name):
    flops = model_flops(open_clip.get_model_config(name))
    image, text = PROFILED[name]
    assert flops.image / 1e9 == pytest.approx(image, rel=0.002, abs=0.01)
    assert flops.text() / 1e9 == pytest.approx(text, rel=0.002, abs=0.01)
    assert flops.sample == flops.image + flops.text()


@pytest.mark.parametrize("image_size", [32, [24, 48]])
def test_the_formula_counts_what_torch_counts(image_size):
    config = {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": image_size,
            "layers": 3,
            "width": 32,
            "head_width": 8,
            "patch_size": 8,
            "mlp_ratio": 3.0,
        },
        "text_cfg": {"context_length": 12, "vocab_size": 50, "width": 48, "heads": 4, "layers": 2},
    }
    model = open_clip.CLIP(**config)
    height, width = (32, 32) if image_size == 32 else image_size
    flops = model_flops(config)
    for encode, value, expected in (
        (model.encode_image, torch.zeros(5, 3, height, width), 5 * flops.image),
        (model.encode_text, torch.ones(7, 12, dtype=torch.int64), 7 * flops.text()),
    ):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
            encode(value)
        assert counter.get_total_flops() == expected


@pytest.mark.parametrize("name", ["RN50", "convnext_base", "coca_ViT-B-32", "roberta-ViT-B-32", "ViT-B-16-SigLIP"])
def test_other_models_have_no_figure_rather_than_a_wrong_one(name):
    assert model_flops(open_clip.get_model_config(name)) is None


def test_training_counts_texts_as_they_were_encoded():
    flops = model_flops(open_clip.get_model_config("ViT-B-16"))
    assert train_flops(flops, 8, 8) == pytest.approx(
        8 * 123.3e9, rel=0.001
    )  # the figure of a pair, forward and backward
    assert train_flops(flops, 8, 3, 20) < train_flops(flops, 8, 3) < train_flops(flops, 8, 8)
    assert train_flops(flops, 8, 0) == 3 * 8 * flops.image


@pytest.mark.parametrize(
    ("gpu", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA B200", 2250),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
    ],
)
def test_the_peak_of_known_gpus(gpu, teraflops):
    assert peak_of(gpu) == teraflops * 1e12


@pytest.mark.parametrize(
    "gpu", ["NVIDIA A10G", "NVIDIA H20", "Tesla V100-SXM2-16GB", "NVIDIA L40", "NVIDIA H100 80GB HBM3 MIG 1g.10gb"]
)
def test_other_gpus_and_slices_have_none(gpu):
    assert peak_of(gpu) is None


def test_a_devices_peak_is_that_of_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", {torch.device("cuda:1"): "NVIDIA H200"}.get)
    assert peak_flops(torch.device("cuda:1")) == 989e12
    assert peak_flops(torch.device("cpu")) is None


def test_mfu_is_a_share_of_the_peak_or_unknown():
    assert mfu(494.5e12, 1.0, 989e12) == 0.5
    assert mfu(494.5e12, 2.0, 989e12) == 0.25
    assert mfu(None, 1.0, 989e12) is None
    assert mfu(1e12, 1.0, peak_flops(torch.device("cpu"))) is None
    assert mfu(1e12, 0.0, 989e12) is None
