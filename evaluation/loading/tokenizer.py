"""A model's tokenizer, by its config alone, and never one that brings code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from evaluation.loading.facts import LOCAL, ModelFacts
from evaluation.loading.model_config import check_model_config
from evaluation.loading.weights import first_line
from taxonomy.errors import BadInputError, WorkFailedError

_TOKENIZER_FILE = "tokenizer_config.json"


def tokenizer_folder(*places: str | None) -> Path | None:
    """The first folder among places that were asked for by `local-dir:` with a tokenizer of transformers in it."""
    folders = [Path(place.removeprefix(LOCAL)) for place in places if place and place.startswith(LOCAL)]
    return next((folder for folder in folders if (folder / _TOKENIZER_FILE).is_file()), None)


def get_tokenizer(facts: ModelFacts, folder: Path | None = None) -> Callable[[list[str]], torch.Tensor]:
    """The model's tokenizer: texts -> int64 tokens [n, context_length], 0-padded; picklable for CLIP's own.

    The config alone decides which: a name that a checkpoint or file tells may be that of a place elsewhere.

    Args:
        facts: of the model.
        folder: one with the files of the tokenizer that the config names; None for the hub's.

    Raises:
        BadInputError: the config asks for what a tokenizer may not do, or for a package that is not installed.
        WorkFailedError: the tokenizer could not be downloaded.
    """
    from open_clip import SimpleTokenizer

    check_model_config(facts.model_config, f"model {facts.name}")
    text = facts.model_config["text_cfg"]
    settings: dict[str, Any] = {**(text.get("tokenizer_kwargs") or {}), "context_length": facts.context_length}
    if text.get("hf_tokenizer_name"):
        return _hf_tokenizer(
            str(folder or text["hf_tokenizer_name"]), settings | {"tokenizer_mode": text.get("tokenizer_mode")}
        )
    return SimpleTokenizer(**settings)


def _hf_tokenizer(name: str, settings: Mapping[str, Any]) -> Callable[[list[str]], torch.Tensor]:
    from open_clip.tokenizer import HFTokenizer

    try:
        return HFTokenizer(name, **settings, trust_remote_code=False)  # left out, transformers asks at the terminal
    except ImportError as error:
        raise BadInputError(f"the tokenizer {name} needs a package: pip install {error.name}") from error
    except (OSError, ValueError) as error:
        raise WorkFailedError(f"the tokenizer {name} could not be loaded: {first_line(error)}") from error
