"""Two models and pictures, small enough for tests of whole commands."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from evaluation.loading.facts import ModelFacts
from evaluation.model import instantiate
from tests.evaluation.small_models import SMALL

FACTS = ModelFacts("small", None, "gelu", "", (0.5,) * 3, (0.5,) * 3, "bicubic", 16, 77, 16, model_config=SMALL)
CLASSES = ("Amanita muscaria", "Boletus edulis", "Carduelis carduelis")
PIXELS = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


def write_model(folder: Path, seed: int, config: dict[str, Any] | None = None, **pixels: Any) -> Path:
    """A folder with random weights of a seed that open_clip could load."""
    config = SMALL | {"quick_gelu": False} | (config or {})
    torch.manual_seed(seed)
    model = instantiate(replace(FACTS, model_config=config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # biases and scales begin alike otherwise
    folder.mkdir()
    description = {"model_cfg": config, "preprocess_cfg": PIXELS | pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(description))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def write_world(root: Path) -> Path:
    """`start` and `trained`, and two folders of pictures, `seen` and `kept`, of which one file is no picture."""
    write_model(root / "start", 1)
    write_model(root / "trained", 2)
    draw = np.random.default_rng(0)
    for name in ("seen", "kept"):
        for number, label in enumerate(CLASSES):
            (root / name / label).mkdir(parents=True)
            for count in range(5):
                pixels = draw.integers(0, 120 + 60 * number, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / label / f"{count}.png")
    (root / "seen" / CLASSES[1] / "5.png").write_bytes(b"no picture")
    return root


def csv_of(root: Path, name: str) -> Path:
    """A table of one of the folders, for --csv."""
    path = root / f"{name}.csv"
    rows = [f"{picture},{picture.parent.name}" for picture in sorted((root / name).rglob("*.png"))]
    path.write_text("\n".join(["path,label", *rows]) + "\n")
    return path
