"""A small model as a folder that open_clip loads, and folders of small pictures."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.loading.facts import ModelFacts
from tests.evaluation.small_models import SMALL

FACTS = ModelFacts("small", None, "gelu", "", (0.5,) * 3, (0.5,) * 3, "bicubic", 16, 77, 16, model_config=SMALL)


def write_model(folder: Path, seed: int = 1) -> str:
    """Its name for --model; the weights are drawn."""
    import torch
    from safetensors.torch import save_file

    from evaluation.model import instantiate

    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    config = {"model_cfg": SMALL | {"quick_gelu": False}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(instantiate(FACTS).state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def write_photos(folder: Path, numbers: Iterable[int]) -> Path:
    """A picture of its own for every number, as `000.png` and so on; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder
