"""Which of open_clip's models a file could be the weights of, by their shapes alone."""

import re
from collections.abc import Mapping
from typing import Any

from evaluation.loading.architecture import architecture
from evaluation.loading.weights import StateDict

_BLOCK = "transformer.resblocks."
_NOT_IN_SHAPES = ("heads", "head_width", "mlp_ratio", "ls_init_value")


def fitting_models(state: StateDict) -> list[str]:
    """Names of open_clip's models with a plain ViT whose sizes are those of the weights, the simplest name first.

    Heads leave no trace in shapes, and activations none at all: names that differ in nothing else are all given, but
    for those with -quickgelu, whose plain name is there.
    """
    from open_clip.factory import get_model_config, list_models

    sizes = _sizes(state)
    if sizes is None:
        return []
    wanted = _comparable(sizes)
    found = [name for name in list_models() if _comparable(get_model_config(name) or {}) == wanted]
    plain = [name for name in found if name.removesuffix("-quickgelu") == name or name[:-10] not in found]
    return sorted(plain, key=lambda name: (len(name), name))


def _sizes(state: StateDict) -> dict[str, Any] | None:
    """The config that the shapes tell; None for other models than a ViT with CLIP's text tower."""
    try:
        patches, positions = state["visual.conv1.weight"], state["visual.positional_embedding"]
        words, projection = state["token_embedding.weight"], state["text_projection"]
        patch_size = patches.shape[2]
        return {
            "embed_dim": projection.shape[1],
            "vision_cfg": {
                "image_size": patch_size * round((positions.shape[0] - 1) ** 0.5),
                "patch_size": patch_size,
                "width": patches.shape[0],
                "layers": _num_blocks(state, "visual."),
            },
            "text_cfg": {
                "context_length": state["positional_embedding"].shape[0],
                "vocab_size": words.shape[0],
                "width": words.shape[1],
                "layers": _num_blocks(state, ""),
            },
        }
    except (KeyError, IndexError):
        return None


def _num_blocks(state: StateDict, tower: str) -> int:
    pattern = re.compile(rf"{re.escape(tower + _BLOCK)}(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(str(name)))})


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config's architecture without what shapes do not show; empty for one that open_clip does not fill in."""
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
        return {}
    known = architecture(config)
    for tower in ("vision_cfg", "text_cfg"):
        known[tower] = {key: value for key, value in known[tower].items() if key not in _NOT_IN_SHAPES}
    return known
