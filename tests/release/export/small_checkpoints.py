"""Checkpoints of models with random weights, as the trainer writes them after a step, and pictures for them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evaluation.loading.facts import ModelFacts
from evaluation.model import ModelRequest, build_model
from tests.evaluation.small_models import SMALL
from trainer.checkpoints.checkpoint import CheckpointContent, save
from trainer.checkpoints.rng_state import rng_state

TEXTS = ["a photo of Turdus merula.", "a photo of Parus major.", "x " * 100]

OWN_PIXELS: dict[str, Any] = {
    "image_mean": (0.1, 0.2, 0.3),
    "image_std": (0.5, 0.6, 0.7),
    "interpolation": "bilinear",
}


def small_model(seed: int = 0, precision: str = "fp32", **request: Any) -> tuple[torch.nn.Module, ModelFacts]:
    """A model of a few thousand weights, in evaluation mode, that says more than noise about a picture."""
    torch.manual_seed(seed)
    known = {"model_config": SMALL, "activation": "quickgelu"} | request
    model, facts = build_model(ModelRequest("dwarf", **known), precision=precision)
    return model.eval(), facts


def small_checkpoint(run: Path, seed: int = 0, precision: str = "fp32", step: int = 7, **request: Any) -> Path:
    """`checkpoints/step_000007` of a run, after one step of AdamW; returns its folder."""
    model, facts = small_model(seed, precision, **request)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape).to(parameter.dtype)
    optimizer.step()
    state = {"step": step, "epoch": 3, "samples_seen": 16 * step, "model_facts": facts.to_dict()}
    ranks = [{"position": {}, "rng": rng_state(torch.device("cpu"))}]
    content = CheckpointContent(model.state_dict(), optimizer.state_dict(), None, state, ranks)
    return save(run / "checkpoints", step, content)


def photos(number: int = 4, seed: int = 1) -> list[bytes]:
    """Encoded pictures of several sizes, wide and high, smooth enough that a resize matters, one of them grey."""
    generator = np.random.default_rng(seed)
    made = []
    for index in range(number):
        width, height = generator.integers(20, 60, 2) + (40, 0)[:: 1 if index % 2 else -1]
        pixels = generator.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        (picture.convert("L") if index == 1 else picture).save(file, "PNG")
        made.append(file.getvalue())
    return made
