"""What of a model's config shapes what its weights compute: the same for two configs of one architecture."""

from collections.abc import Mapping
from typing import Any

from taxonomy.errors import BadInputError

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
"""Settings that change nothing once the weights are there, or are named beside a model's hash."""


def architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with open_clip's defaults filled in for both towers, and without settings that have no effect.

    Args:
        config: open_clip's `model_cfg`.

    Raises:
        BadInputError: a tower has a setting that open_clip does not know.
    """
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    filled = dict(config)
    for tower, defaults in (("vision_cfg", vars(CLIPVisionCfg())), ("text_cfg", vars(CLIPTextCfg()))):
        settings = config.get(tower, {})
        unknown = sorted(settings.keys() - defaults.keys())
        if unknown:
            raise BadInputError(f"{tower} does not fit open_clip: it has no setting {', '.join(unknown)}")
        filled[tower] = defaults | dict(settings)
    return _without_effectless(filled)


def _without_effectless(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_effectless(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if key not in _NO_EFFECT
    }
