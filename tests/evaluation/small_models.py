"""Models small enough for tests, of open_clip's two classes and both activations."""

from typing import Any

TINY: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
"""As recipe `tiny`."""

SMALL: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
"""Smaller still, for tests of files."""


def changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with other settings; those of the towers as `vision_cfg={...}`."""
    made = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for key, value in changes.items():
        made[key] = made[key] | value if isinstance(value, dict) else value
    return made
