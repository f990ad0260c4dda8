"""An open_clip model by name, tag, file, folder, hub or own config, with everything decided by one rule.

The trainer and the evaluator both build their models here, so that one is measured as it was trained.

Source: docs/design.md, Activation and normalisation.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.loading.activation import decide
from evaluation.loading.facts import ModelFacts, facts_of_checkpoint
from evaluation.loading.origin import Origin, find_origin, weights_file
from evaluation.loading.tokenizer import get_tokenizer
from evaluation.loading.weights import first_line, load_strict
from taxonomy.errors import BadInputError, WorkFailedError

__all__ = [
    "ModelFacts",
    "ModelRequest",
    "build_model",
    "get_tokenizer",
    "instantiate",
    "load_checkpoint",
    "resolve",
]

_LOG = logging.getLogger(__name__)

LOW_PRECISION = "bf16_published"
"""Convolutions, linear layers, attention and projections stored in bf16, without a copy in fp32."""


@dataclass(frozen=True)
class ModelRequest:
    """What is asked of a model; None leaves the decision to the rule.

    Attributes:
        name: open_clip's name, `local-dir:FOLDER`, `hf-hub:ORG/NAME`, a checkpoint (file or folder) or run folder of
            ours, or any name if `model_config` is given.
        pretrained: tag, weights file, `local-dir:FOLDER`, `hf-hub:ORG/NAME`, a checkpoint or run folder of ours.
        model_config: an own open_clip `model_cfg` (embed_dim, vision_cfg, text_cfg).
        activation: "gelu" or "quickgelu".
        force: the activation may contradict what the weights were trained with.
        image_mean, image_std: three numbers each.
        interpolation: "bicubic" or "bilinear".
        image_size: side of the square input, px; positional embeddings are resized to it.
        patch_dropout: share of patches dropped in training, 0 to below 1.
        custom_text: build the text tower as a module of its own.
        pretrained_image: start the image tower from its timm weights, where it is a timm model.
        init_logit_scale, init_logit_bias: start of the learnt scale (its logarithm) and bias, for sigmoid losses.
        cache_dir: folder for downloads.
    """

    name: str
    pretrained: str | None = None
    model_config: Mapping[str, Any] | None = None
    activation: str | None = None
    force: bool = False
    image_mean: Sequence[float] | None = None
    image_std: Sequence[float] | None = None
    interpolation: str | None = None
    image_size: int | None = None
    patch_dropout: float | None = None
    custom_text: bool = False
    pretrained_image: bool = False
    init_logit_scale: float | None = None
    init_logit_bias: float | None = None
    cache_dir: str | None = None


def resolve(request: ModelRequest) -> ModelFacts:
    """The facts of the model that `build_model` would build; no weights are read, nothing but configs downloaded.

    Raises:
        BadInputError: the request contradicts itself or the weights, or nothing is found under its names.
        WorkFailedError: a config could not be downloaded.
    """
    return _decide(request, _origin(request))


def build_model(
    request: ModelRequest, device: str | torch.device = "cpu", precision: str = "fp32"
) -> tuple[torch.nn.Module, ModelFacts]:
    """The model, its weights loaded strictly, and its facts.

    Args:
        request: which model.
        device: where it goes.
        precision: "bf16_published" stores most weights in bf16; any other leaves them in fp32.

    Raises:
        BadInputError: as resolve, or the weights are of another architecture, damaged or not safe to read.
        WorkFailedError: a download failed.
    """
    origin = _origin(request)
    facts = _decide(request, origin)
    weights = weights_file(origin, request.cache_dir)
    model = instantiate(facts, precision, pretrained_image=request.pretrained_image and weights is None)
    if weights is not None:
        load_strict(model, weights)
    return model.to(device), facts


def load_checkpoint(
    folder: Path,
    activation: str | None = None,
    force: bool = False,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
) -> tuple[torch.nn.Module, ModelFacts]:
    """The model of our checkpoint folder and its facts, from the folder alone.

    Raises:
        BadInputError: no checkpoint of ours, damaged, or trained under another activation than asked for (not forced).
    """
    if facts_of_checkpoint(folder) is None:
        raise BadInputError(f"{folder} is no checkpoint: a state.json with model_facts is needed")
    return build_model(ModelRequest(str(folder), activation=activation, force=force), device, precision)


def _origin(request: ModelRequest) -> Origin:
    return find_origin(request.name, request.pretrained, request.model_config, request.cache_dir)


def _decide(request: ModelRequest, origin: Origin) -> ModelFacts:
    decision = decide(replace(origin.evidence, flag=request.activation), request.force)
    for remark in decision.remarks:
        _LOG.info("%s", remark)
    config = _overridden(origin.model_config, request)
    config["quick_gelu"] = decision.is_quick
    pixels = _first_known(request, origin)
    return ModelFacts(
        name=origin.facts.name if origin.facts else request.name,
        pretrained=request.pretrained or (origin.facts.pretrained if origin.facts else origin.source),
        activation=decision.activation,
        activation_source=decision.source,
        image_mean=pixels("image_mean"),
        image_std=pixels("image_std"),
        interpolation=pixels("interpolation"),
        resize_mode=pixels("resize_mode"),
        image_size=_square(config["vision_cfg"].get("image_size", 224)),
        context_length=config["text_cfg"].get("context_length", 77),
        embed_dim=config["embed_dim"],
        model_config=config,
    )


def _first_known(request: ModelRequest, origin: Origin) -> Callable[[str], Any]:
    """Reads one fact of the pixels from flag, state.json, config or tag, and OpenAI's, in this order."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    openai = {
        "image_mean": OPENAI_DATASET_MEAN,
        "image_std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }

    def first_known(fact: str) -> Any:
        flag, stored = getattr(request, fact, None), getattr(origin.facts, fact, None)
        if flag is not None and stored is not None and list(flag) != list(stored):
            _LOG.warning("%s %s by flag; the checkpoint was trained with %s", fact, flag, stored)
        known = origin.preprocess.get(fact.removeprefix("image_"))
        return next(value for value in (flag, stored, known, openai[fact]) if value is not None)

    return first_known


def _overridden(config: Mapping[str, Any], request: ModelRequest) -> dict[str, Any]:
    """The architecture with the request's settings, complete enough to be built without anything else."""
    made = deepcopy(dict(config))
    if request.image_size is not None:
        made["vision_cfg"]["image_size"] = request.image_size
    if request.patch_dropout is not None:
        made["vision_cfg"]["patch_dropout"] = request.patch_dropout
    if request.custom_text:
        made["custom_text"] = True
    for key in ("init_logit_scale", "init_logit_bias"):
        if getattr(request, key) is not None:
            made[key] = getattr(request, key)
    return made


def _square(size: int | Sequence[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise BadInputError(f"image size {size}: only square pictures are supported")
    return sides.pop()


def instantiate(facts: ModelFacts, precision: str = "fp32", pretrained_image: bool = False) -> torch.nn.Module:
    """The model of the facts with random weights, as open_clip's own factory builds it, on torch's default device.

    Raises:
        BadInputError: the config has a setting that open_clip does not know, or is no two-tower model.
    """
    from open_clip import CLIP, CustomTextCLIP

    config = deepcopy(dict(facts.model_config))
    if "multimodal_cfg" in config:
        raise BadInputError(f"model {facts.name} is a CoCa model: only two-tower CLIP models are supported")
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"]["timm_model_pretrained"] = pretrained_image
    elif pretrained_image:
        _LOG.warning("--pretrained-image has no effect: model %s has no timm image tower", facts.name)
    has_own_text = bool(config["text_cfg"].get("hf_model_name"))
    if has_own_text:
        config["text_cfg"]["hf_model_pretrained"] = False
    make = CustomTextCLIP if config.pop("custom_text", False) or has_own_text else CLIP
    dtype = torch.bfloat16 if precision == LOW_PRECISION else None
    try:
        model = make(**config, cast_dtype=dtype)
    except torch.OutOfMemoryError:
        raise
    except OSError as error:  # the config of a text tower of transformers
        raise WorkFailedError(f"model {facts.name} could not be built: {first_line(error)}") from error
    except (TypeError, ValueError, RuntimeError, ArithmeticError, AssertionError, LookupError) as error:
        raise BadInputError(f"the config of model {facts.name} does not fit open_clip: {first_line(error)}") from error
    return model if dtype is None else _lowered(model, facts, dtype)


def _lowered(model: torch.nn.Module, facts: ModelFacts, dtype: torch.dtype) -> torch.nn.Module:
    from open_clip.model import convert_weights_to_lp

    if "timm_model_name" in facts.model_config["vision_cfg"]:
        raise BadInputError(f"--precision {LOW_PRECISION} is for open_clip's own towers; use amp_bf16 for {facts.name}")
    convert_weights_to_lp(model, dtype=dtype)
    return model
