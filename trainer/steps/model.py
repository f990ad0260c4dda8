"""The model as it is trained: built by the evaluator's rule, towers locked, blocks compiled, precision chosen.

Shapes: B pictures of height H and width W, C channels; V texts of L tokens; D embedding.
"""

import functools
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from evaluation.encoding.encode import encode_image, encode_text, to_input
from evaluation.model import ModelFacts, ModelRequest, build_model, resolve
from taxonomy.errors import BadInputError
from trainer.distributed import Ranks, broadcast_parameters
from trainer.settings.config import TrainConfig
from trainer.steps.step import ModelParts, StepSettings

_log = logging.getLogger(__name__)

_AUTOCAST = {"amp": torch.float16, "amp_bf16": torch.bfloat16, "amp_bfloat16": torch.bfloat16, "bf16": torch.bfloat16}
"""Precision -> type of autocast; parameters are fp32 in all of these."""

SIGLIP_SCALE, SIGLIP_BIAS = 2.302585092994046, -10.0
"""Starts of the logarithm of the logits' scale and of their bias. Source: SigLIP (Zhai et al. 2023), algorithm 1."""


@dataclass(frozen=True)
class TrainedModel:
    """A model in training.

    Attributes:
        module: the open_clip model, on the device.
        facts: how it is built.
        parts: what a step sees of it.
        autocast: makes the context in which its towers run.
    """

    module: torch.nn.Module
    facts: ModelFacts
    parts: ModelParts
    autocast: Callable[[], AbstractContextManager]


def model_request(config: TrainConfig) -> ModelRequest:
    """What the flags ask of the model."""
    is_siglip = config.loss == "siglip"
    return ModelRequest(
        name=config.model,
        pretrained=config.pretrained,
        model_config=config.model_config,
        activation="quickgelu" if config.force_quick_gelu else config.activation,
        force=config.force,
        image_mean=config.image_mean,
        image_std=config.image_std,
        image_size=config.image_size,
        patch_dropout=config.force_patch_dropout,
        custom_text=config.force_custom_text,
        pretrained_image=config.pretrained_image,
        init_logit_scale=SIGLIP_SCALE if is_siglip else None,
        init_logit_bias=SIGLIP_BIAS if is_siglip else None,
    )


def model_facts(config: TrainConfig) -> ModelFacts:
    """The facts of the model that `make_model` will make, without reading its weights.

    Raises:
        BadInputError: as `evaluation.model.resolve`.
    """
    return resolve(model_request(config))


def make_model(config: TrainConfig, ranks: Ranks) -> TrainedModel:
    """The model with its starting weights, on this rank's device.

    Raises:
        BadInputError: as `evaluation.model.build_model`.
    """
    torch.manual_seed(config.seed)
    module, facts = build_model(model_request(config), ranks.device, config.precision)
    _lock_towers(module, config)
    if config.grad_checkpointing:
        module.set_grad_checkpointing()  # pyright: ignore[reportCallIssue] open_clip's own
    if config.compile and ranks.device.type == "cuda":
        compile_blocks(module)
    return _parts(module.train(), facts, config, ranks)


def begin_alike(model: TrainedModel, config: TrainConfig, ranks: Ranks) -> None:
    """Give all ranks the weights of rank 0, and each its own random numbers for what layers draw."""
    broadcast_parameters(model.module, ranks)
    torch.manual_seed(config.seed + ranks.rank)


def _parts(module: Any, facts: ModelFacts, config: TrainConfig, ranks: Ranks) -> TrainedModel:
    def image_BD(image_BHWC: torch.Tensor) -> torch.Tensor:
        return encode_image(module, to_input(image_BHWC, facts, ranks.device))

    parts = ModelParts(
        encode_image=image_BD,
        encode_text=functools.partial(encode_text, module),
        logit_scale=module.logit_scale,
        logit_bias=getattr(module, "logit_bias", None),
        parameters=[parameter for parameter in module.parameters() if parameter.requires_grad],
    )
    return TrainedModel(module, facts, parts, autocast_of(config.precision, ranks.device))


def autocast_of(precision: str, device: torch.device) -> Callable[[], AbstractContextManager]:
    """Makes the context in which towers run under a precision."""
    if precision not in _AUTOCAST:
        return nullcontext
    return functools.partial(torch.autocast, device.type, _AUTOCAST[precision])


def step_settings(config: TrainConfig, model: TrainedModel, scaler: torch.amp.GradScaler | None) -> StepSettings:
    """How the flags want a step computed."""
    return StepSettings(config.loss, config.local_loss, config.gather_with_grad, model.autocast, scaler)


def compile_blocks(module: torch.nn.Module) -> None:
    """Compile each transformer block by itself, in place: one graph serves all blocks of a tower."""
    from open_clip.transformer import ResidualAttentionBlock

    for block in module.modules():
        if isinstance(block, ResidualAttentionBlock):
            block.compile()


def _lock_towers(module: Any, config: TrainConfig) -> None:
    if config.lock_image:
        groups = config.lock_image_unlocked_groups
        try:
            module.lock_image_tower(unlocked_groups=groups, freeze_bn_stats=config.lock_image_freeze_bn_stats)
        except AssertionError as error:
            raise BadInputError(
                f"--lock-image-unlocked-groups {groups}: open_clip cannot unlock a part of {config.model}; use 0"
            ) from error
    if config.lock_text:
        module.lock_text_tower(unlocked_layers=config.lock_text_unlocked_layers)  # open_clip locks layer norms too
