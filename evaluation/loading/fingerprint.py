"""What tells one model's weights from another's, wherever they came from.

Activation and picture preprocessing are not weights: results and caches name them beside the hash.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from evaluation.loading.facts import ModelFacts

_NO_EFFECT = frozenset(
    {
        "quick_gelu",
        "custom_text",
        "init_logit_scale",
        "init_logit_bias",
        "patch_dropout",
        "timm_model_pretrained",
        "hf_model_pretrained",
    }
)
"""Settings that change nothing once the weights are there, or are named beside the hash."""


def model_hash(model: torch.nn.Module, facts: ModelFacts) -> str:
    """Hex SHA-256 of the weights (names, dtypes, shapes, values) and of the architecture.

    The same for a model built from a tag, a file, a folder or one of our checkpoints. Values are hashed as fp32
    where they are stored, without a copy of those that are fp32 on the CPU already.

    Args:
        model: an open_clip model.
        facts: its architecture.
    """
    digest = hashlib.sha256(json.dumps(_architecture(facts.model_config), sort_keys=True).encode())
    # CustomTextCLIP holds CLIP's text tower under this prefix
    state = {name.removeprefix("text."): tensor for name, tensor in model.state_dict().items()}
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that shape what the weights compute, open_clip's defaults filled in."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    towers = {"vision_cfg": vars(CLIPVisionCfg()), "text_cfg": vars(CLIPTextCfg())}
    filled = {
        key: {**towers.get(key, {}), **value} if isinstance(value, Mapping) else value for key, value in config.items()
    }
    return _without_effectless(filled)


def _without_effectless(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_effectless(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if key not in _NO_EFFECT
    }


def _bytes(tensor: torch.Tensor) -> memoryview:
    """The values as bytes, row-major; floating ones as fp32."""
    tensor = tensor.detach()
    on_cpu = (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
    return on_cpu.reshape(-1).view(torch.uint8).numpy().data
