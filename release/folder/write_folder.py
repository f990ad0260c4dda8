"""A model as a folder that open_clip itself loads, by `local-dir:` or from the hub, and that runs no code when loaded.

    open_clip_config.json       architecture with its activation, mean, std, interpolation and resize mode
    open_clip_model.safetensors the weights, fp32
    taxaflow.json               what it was made from, and a checksum of every file

CLIP's own tokenizer comes with open_clip; a model with one of its own has that in the folder too.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import torch
from open_clip import list_models
from safetensors import SafetensorError
from safetensors.torch import save_file

from evaluation.loading.facts import HUB, LOCAL, ModelFacts
from evaluation.loading.origin import CONFIG_FILE
from evaluation.model import get_tokenizer
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import reason_of

WEIGHTS_FILE = "open_clip_model.safetensors"
"""What open_clip looks for first, in a folder and on the hub."""


def check_can_be_exported(facts: ModelFacts) -> None:
    """Check that a folder can hold all that open_clip needs to build the model.

    Raises:
        BadInputError: its text tower is one of the package transformers, whose config open_clip takes from the hub.
    """
    tower = facts.model_config["text_cfg"].get("hf_model_name")
    if tower:
        raise BadInputError(
            f"the text tower {tower} is one of the package transformers: open_clip downloads its config whenever the "
            f"model is built, so no folder can hold the model; only open_clip's own text towers are exported"
        )


def write_model(model: torch.nn.Module, facts: ModelFacts, folder: Path) -> None:
    """Write config, weights and, where the model has one of its own, tokenizer into a folder that is there.

    Raises:
        BadInputError: the tokenizer needs a package that is not installed.
        WorkFailedError: it could not be written, as on a full disk.
    """
    try:
        text = json.dumps(open_clip_config(facts), indent=2, ensure_ascii=False)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        save_file(_in_fp32(model.state_dict()), folder / WEIGHTS_FILE, metadata={"format": "pt"})
        # safetensors lets nobody else read its files
        (folder / WEIGHTS_FILE).chmod((folder / CONFIG_FILE).stat().st_mode)
    except (OSError, SafetensorError) as error:
        raise WorkFailedError(f"cannot write {folder / WEIGHTS_FILE}: {reason_of(error)}") from error
    if facts.model_config["text_cfg"].get("hf_tokenizer_name"):
        _write_tokenizer(facts, folder)


def open_clip_config(facts: ModelFacts) -> dict[str, Any]:
    """The content of open_clip_config.json: `model_cfg` and `preprocess_cfg`, nothing left to a default or a name.

    The size of pictures is that of the image tower: open_clip passes over a size in `preprocess_cfg`. Patch dropout
    belongs to training and is left out.
    """
    config = deepcopy(dict(facts.model_config))
    config["quick_gelu"] = facts.activation == "quickgelu"
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision["image_size"], text["context_length"] = facts.image_size, facts.context_length
    vision.pop("patch_dropout", None)
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False  # the folder brings the weights
    return {
        "model_cfg": config,
        "preprocess_cfg": {
            "mean": list(facts.image_mean),
            "std": list(facts.image_std),
            "interpolation": facts.interpolation,
            "resize_mode": facts.resize_mode,
        },
    }


def _in_fp32(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors on the CPU that share no memory, as safetensors wants them; floating ones as fp32."""
    made, seen = {}, set()
    for name, tensor in state.items():
        tensor = (tensor.float() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        made[name] = tensor
    return made


def _write_tokenizer(facts: ModelFacts, folder: Path) -> None:
    tokenizer: Any = get_tokenizer(facts)
    tokenizer.save_pretrained(folder)


def public_facts(facts: ModelFacts) -> ModelFacts:
    """The facts without paths of this machine: of a path only the last part stays."""
    paths = [text for text in (facts.name, facts.pretrained) if text]
    source = facts.activation_source
    for path in sorted(paths, key=len, reverse=True):
        source = source.replace(path, _public(path))
    pretrained = None if facts.pretrained is None else _public(facts.pretrained)
    return replace(facts, name=_public(facts.name), pretrained=pretrained, activation_source=source)


def _public(place: str) -> str:
    """A name or hub model as it is; of a path the last part, of a checkpoint's the run too."""
    if place.startswith(HUB) or place.replace("/", "-") in list_models():
        return place
    path = PurePath(place.removeprefix(LOCAL))
    run = path.parent.parent.name if path.parent.name == "checkpoints" else ""
    return f"{run} {path.name}".strip() if path.name else place
