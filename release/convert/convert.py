"""A published weights file -> the folder that `taxaflow export` makes, read without running code."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import torch

from evaluation.errors import OtherArchitectureError
from evaluation.loading.facts import ModelFacts, stored_facts
from evaluation.loading.fingerprint import model_hash
from evaluation.loading.origin import find_origin
from evaluation.loading.weights import read_pickled, read_weights
from evaluation.model import ModelRequest, build_model
from release.card.card_facts import CardFacts
from release.card.collect import collect_card_facts
from release.card.run_facts import RunRecord
from release.card.words import one_line, without_folders
from release.convert.config import ConvertConfig
from release.convert.fitting_models import fitting_models
from release.folder.released_folder import released_folder
from release.folder.write_folder import check_can_be_exported
from taxonomy.errors import BadInputError

KNOWN_ACTIVATIONS = (
    "BT-CLIP-O and BioCLIP were trained with quickgelu, and evaluated with gelu by their published commands; of "
    "BT-CLIP-B and BT-CLIP-M it is not known: measure both with taxaflow eval --activation both"
)
"""What can be said to someone who has to choose. Source: the training and evaluation code of both projects."""

_SHOWN = 3


def convert(config: ConvertConfig) -> None:
    """Write the folder and say what it holds.

    Raises:
        BadInputError: the weights are refused, of another architecture, or their model or activation is not known.
        WorkFailedError: the folder could not be written. Nothing of it is left.
    """
    content = read_pickled(config.file) if config.file.suffix != ".safetensors" else {}
    request = _request(config, stored_facts(content, str(config.file)))
    model, facts = _built(request, config)
    check_can_be_exported(facts)
    card = _card(model, facts, config, content)
    with released_folder(model, facts, card, config.out_dir):
        pass  # nothing beside the model and its card
    millions = sum(one.numel() for one in model.parameters()) / 1e6
    print(
        f"{config.file.name} -> {config.out_dir}: {one_line(card.model.name)}, {millions:.1f} M parameters, activation "
        f"{facts.activation} ({one_line(card.model.activation_source)}), weights {card.model_hash[:12]}"
    )


def _request(config: ConvertConfig, facts: ModelFacts | None) -> ModelRequest:
    """What to build.

    Raises:
        BadInputError: the file does not tell its model, or its activation, and no flag does.
    """
    file = str(config.file)
    pixels = {"image_mean": config.mean, "image_std": config.std, "interpolation": config.interpolation}
    if config.model is None:
        if facts is None:
            _refuse_unnamed(config)
        return ModelRequest(file, activation=config.activation, **pixels)
    evidence = find_origin(config.model, file, None).evidence
    is_known = evidence.name_quick_gelu is not None or evidence.name.endswith("-quickgelu")
    if evidence.bare_file is not None and config.activation is None and not is_known:
        raise BadInputError(
            f"{file} holds weights alone, which do not tell their activation: add --activation quickgelu or gelu. "
            f"{KNOWN_ACTIVATIONS}"
        )
    return ModelRequest(config.model, file, activation=config.activation, **pixels)


def _refuse_unnamed(config: ConvertConfig) -> NoReturn:
    names = fitting_models(read_weights(config.file))
    also = f" (the same shapes: {', '.join(names[1:_SHOWN])})" if len(names) > 1 else ""
    hint = f"--model {names[0]} fits its shapes{also}" if names else "no plain ViT of open_clip has its shapes"
    flags = "--model" if config.activation else "--model and --activation"
    raise BadInputError(f"{config.file} holds weights alone, which do not tell their model: add {flags}; {hint}")


def _built(request: ModelRequest, config: ConvertConfig) -> tuple[torch.nn.Module, ModelFacts]:
    """The model with its weights.

    Raises:
        OtherArchitectureError: names keys that differ, and models that fit.
        BadInputError: as build_model.
    """
    try:
        return build_model(request)
    except OtherArchitectureError as error:
        names = fitting_models(read_weights(config.file))
        if not names or config.model in names:
            raise
        raise OtherArchitectureError(f"{error}; its shapes are those of {', '.join(names[:_SHOWN])}") from error


def _card(model: torch.nn.Module, facts: ModelFacts, config: ConvertConfig, content: Any) -> CardFacts:
    card = collect_card_facts(facts, model_hash(model, facts), config.file.stem, config.file)
    return card if card.run is not None else replace(card, run=_run(content))


def _run(content: Any) -> RunRecord | None:
    """What a published checkpoint says beside its weights: the run's name and its epochs."""
    if not isinstance(content, Mapping) or "state_dict" not in content:
        return None
    name, epoch = content.get("name"), content.get("epoch")
    try:
        epochs = int(epoch) if epoch is not None and not isinstance(epoch, str | torch.Tensor) else None
    except (TypeError, ValueError, OverflowError):
        epochs = None
    name = one_line(without_folders(name)) if isinstance(name, str) and name.strip() else None
    return RunRecord(name=name, epoch=epochs) if name or epochs is not None else None
