"""Weights as others published them: BioTrove's .pt with NumPy scalars and module. before each name, BioCLIP's .bin."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import CLIP, add_model_config

from tests.evaluation.small_models import SMALL, changed

DWARF = changed(SMALL, vision_cfg={"layers": 2})
GNOME = changed(SMALL, vision_cfg={"layers": 3})
NAMED = {
    "dwarf": DWARF,
    "dwarf-quickgelu": DWARF | {"quick_gelu": True},
    "gnome": GNOME,
}


def name_models(folder: Path) -> None:
    """Make open_clip know the small models by name."""
    folder.mkdir()
    for name, config in NAMED.items():
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    add_model_config(folder)


def small_model(config: dict[str, Any] = DWARF, quick_gelu: bool = True) -> CLIP:
    """A model with random weights large enough that its activation matters."""
    torch.manual_seed(3)
    model = CLIP(**config, quick_gelu=quick_gelu)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return model.eval()


def write_biotrove(file: Path, model: torch.nn.Module) -> Path:
    """The dict of the published training code: the epoch is a NumPy scalar, which pickles a function's name."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    content = {
        "epoch": np.int64(40),
        "name": "biotrove-clip-o",
        "state_dict": {f"module.{name}": value for name, value in model.state_dict().items()},
        "optimizer": optimizer.state_dict() | {"best": np.float64(0.5)},
    }
    torch.save(content, file)
    return file


def write_bioclip(file: Path, model: torch.nn.Module) -> Path:
    """A state dict alone."""
    torch.save(model.state_dict(), file)
    return file
