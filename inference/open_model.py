"""The model of a command, opened; one of an exported folder is compared with what was exported."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.loading.facts import LOCAL
from evaluation.settings.model_settings import ModelSettings
from taxonomy.errors import BadInputError

if TYPE_CHECKING:
    from evaluation.encoding.encoder import OpenClipEncoder

_RECORD = "taxaflow.json"
"""In an exported folder: what it was made from, and the hash of the weights."""


def open_model(settings: ModelSettings, fast_pixels: bool = False) -> "OpenClipEncoder":
    """The model that the flags name, built and loaded, in evaluation mode.

    Args:
        settings: which model.
        fast_pixels: give it pixels that cost less and are nearly the exact ones.

    Raises:
        BadInputError: it cannot be had, or its folder holds other weights than were exported.
        WorkFailedError: a download failed.
    """
    encoder = settings.open_encoder()
    choice = settings.choice
    folder = Path((choice.pretrained or choice.model).removeprefix(LOCAL))
    exported = _exported_hash(folder)
    if exported not in (None, encoder.hash):
        raise BadInputError(
            f"{folder}: the weights are not those that were exported (hash {encoder.hash[:12]}, {_RECORD} says "
            f"{str(exported)[:12]}): damaged? Copy the folder again, or export the model again"
        )
    return encoder.with_preprocess(replace(encoder.preprocess, fast_pixels=fast_pixels))


def _exported_hash(folder: Path) -> str | None:
    """What the record of a folder says; None without one of ours."""
    try:
        stored = json.loads((folder / _RECORD).read_bytes())
        return stored.get("model_hash") if stored.get("made_by") == "taxaflow" else None
    except (OSError, ValueError, AttributeError):
        return None
