"""How much of a GPU's peak the model's own arithmetic uses.

Floating point operations are counted by formula, two per multiply-add, of matrix products alone: norms, activations and
softmax are left out. Work that is done twice to save memory does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

_TRAINED = 3
"""Backward costs twice forward: a product each for the gradient of input and weight."""

PEAK_BF16_FLOPS = {
    "B200": 2250e12,
    "GH200": 989e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
}
"""Part of a GPU's name -> dense bf16 operations per second with accumulation in fp32; the first that fits counts.

Source: NVIDIA's data sheets of each GPU, where the figures with sparsity are twice these; B200, H200, H100, A100 and
L40S as in pytorch/torchtitan `tools/utils.py`.
"""


@dataclass(frozen=True)
class ModelFlops:
    """Forward operations of a CLIP model of two transformers, as open_clip's `VisionTransformer` and `TextTransformer`.

    Attributes:
        image: per picture.
        text_width: of the text tower.
        text_layers: of the text tower.
        text_mlp_ratio: width of its hidden layers / its width.
        embed_dim: of the shared space.
        context_length: tokens of a text that is not trimmed.
    """

    image: float
    text_width: int
    text_layers: int
    text_mlp_ratio: float
    embed_dim: int
    context_length: int

    def text(self, num_tokens: int | None = None) -> float:
        """Per text of so many tokens; None: of the whole context."""
        length = self.context_length if num_tokens is None else num_tokens
        blocks = _blocks(length, self.text_width, self.text_layers, self.text_mlp_ratio)
        return blocks + 2 * self.text_width * self.embed_dim

    @property
    def sample(self) -> float:
        """Per picture with its text of the whole context."""
        return self.image + self.text()


def model_flops(config: Mapping[str, Any]) -> ModelFlops | None:
    """The count for a model of open_clip's configuration (`open_clip.get_model_config`); None where no formula fits.

    Source: the transformer's shapes; equal to the ViT rows of open_clip's docs/model_profile.csv to its digits.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    is_vit = isinstance(vision.get("layers"), int) and "timm_model_name" not in vision
    if not {"width", "patch_size"} <= vision.keys() or not {"width", "layers"} <= text.keys():
        return None
    if not is_vit or vision.get("attentional_pool") or "hf_model_name" in text or "multimodal_cfg" in config:
        return None
    size, patch = vision.get("image_size", 224), vision["patch_size"]
    num_patches = _height_times_width(size, patch)
    width, dim = vision["width"], config["embed_dim"]
    embedding = 2 * num_patches * 3 * _height_times_width(patch, 1) * width
    blocks = _blocks(num_patches + 1, width, vision["layers"], vision.get("mlp_ratio", 4.0))
    return ModelFlops(
        image=embedding + blocks + 2 * width * dim,
        text_width=text["width"],
        text_layers=text["layers"],
        text_mlp_ratio=text.get("mlp_ratio", 4.0),
        embed_dim=dim,
        context_length=text.get("context_length", 77),
    )


def train_flops(flops: ModelFlops, num_images: int, num_texts: int, text_length: int | None = None) -> float:
    """Forward and backward operations for pictures and texts as they were encoded.

    Each distinct text counts once and at its trimmed length, so that leaving work out does not look like doing it fast.
    """
    return _TRAINED * (num_images * flops.image + num_texts * flops.text(text_length))


def peak_flops(device: torch.device) -> float | None:
    """The dense bf16 peak of a device per second; None for a CPU or a GPU that is not in the table."""
    return peak_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def peak_of(gpu_name: str) -> float | None:
    """The dense bf16 peak of a GPU of this name per second; None where it is not in the table."""
    words = f" {gpu_name.replace('-', ' ')} "
    if " MIG " in words:  # a slice of a GPU
        return None
    return next((peak for name, peak in PEAK_BF16_FLOPS.items() if f" {name} " in words), None)


def mfu(flops: float | None, seconds: float, peak: float | None) -> float | None:
    """The share of the peak that `flops` in `seconds` on one device used; None where either is unknown."""
    if flops is None or peak is None or seconds <= 0:
        return None
    return flops / seconds / peak


def _blocks(length: int, width: int, layers: int, mlp_ratio: float) -> float:
    """Per layer and token: query, key, value, output (4 d^2) and two of the mlp (2 r d^2); scores and their sum."""
    return layers * (2 * length * (4 + 2 * mlp_ratio) * width**2 + 4 * length**2 * width)


def _height_times_width(size: int | list[int] | tuple[int, int], patch: int | list[int] | tuple[int, int]) -> int:
    height, width = (size, size) if isinstance(size, int) else size
    patch_height, patch_width = (patch, patch) if isinstance(patch, int) else patch
    return (height // patch_height) * (width // patch_width)
