"""Files that make a folder when they are unpickled, in every form that weights, optimizers and caches come in."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.loading.facts import ModelFacts


class Harmful:
    """Unpickled, it makes a folder."""

    def __init__(self, victim: Path):
        self._victim = victim

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._victim),)


def _content(victim: Path, model: torch.nn.Module) -> dict[str, Any]:
    """As published, with something beside the weights, which are all there."""
    return {"epoch": 3, "name": "run", "state_dict": model.state_dict(), "optimizer": Harmful(victim)}


def _zipped(file: Path, victim: Path, model: torch.nn.Module) -> None:
    torch.save(_content(victim, model), file)


def _legacy(file: Path, victim: Path, model: torch.nn.Module) -> None:
    torch.save(_content(victim, model), file, _use_new_zipfile_serialization=False)


def _among_weights(file: Path, victim: Path, model: torch.nn.Module) -> None:
    torch.save(model.state_dict() | {"logit_scale": Harmful(victim)}, file)


def _pickled(file: Path, victim: Path, model: torch.nn.Module) -> None:
    file.write_bytes(pickle.dumps({"state_dict": {}, "x": Harmful(victim)}, protocol=2))


FORMS: dict[str, Callable[[Path, Path, torch.nn.Module], None]] = {
    "zip.pt": _zipped,
    "legacy.pt": _legacy,
    "plain.pt": _pickled,
    "weights.bin": _among_weights,
    "weights.pth": _zipped,
    "disguised.safetensors": _pickled,
}
"""File name -> writes it."""


def write_folder(folder: Path, victim: Path, model: torch.nn.Module, config: dict[str, Any]) -> Path:
    """A folder as open_clip's, with harmful weights."""
    folder.mkdir()
    pixels = {"mean": [0.5] * 3, "std": [0.25] * 3}
    content = {"model_cfg": config | {"quick_gelu": False}, "preprocess_cfg": pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
    _among_weights(folder / "open_clip_pytorch_model.bin", victim, model)
    return folder


def write_file_of_ours(file: Path, victim: Path, model: torch.nn.Module, facts: ModelFacts) -> Path:
    """As the trainer writes it, so that it tells its model itself."""
    torch.save(_content(victim, model) | {"model_facts": facts.to_dict()}, file)
    return file


def spoil_checkpoint(checkpoint: Path, name: str, victim: Path) -> None:
    """Replace a file of a checkpoint by a harmful one, its checksum too."""
    if name.endswith(".safetensors"):
        (checkpoint / name).write_bytes(pickle.dumps(Harmful(victim), protocol=2))
    else:
        torch.save([{"rng": Harmful(victim)}] if name == "rng.pt" else {"state": Harmful(victim)}, checkpoint / name)
    sums = json.loads((checkpoint / "checksums.json").read_bytes())
    sums[name] = hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()
    (checkpoint / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")


def spoil_arrays(folder: Path, victim: Path) -> int:
    """Replace every .npy and .npz below a folder by one of objects; how many there were."""
    objects = np.array([Harmful(victim)], dtype=object)
    arrays = sorted(path for path in folder.rglob("*") if path.suffix in (".npy", ".npz"))
    for path in arrays:
        if path.suffix == ".npy":
            np.save(path, objects, allow_pickle=True)
        else:
            with np.load(path) as archive:
                names = archive.files
            np.savez(path, **dict.fromkeys(names, objects))
    return len(arrays)
