"""Recipes: named sets of flag values in TOML, built in or from a file."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxonomy.errors import BadInputError
from trainer.settings.flags import ACCEPTED, REFUSED, nearest, refusal

FOLDER = Path(__file__).parent / "recipes"
MODEL_CONFIG = "model_config"
"""The one key that is no flag: an open_clip model config, for a model that open_clip does not name."""


def names() -> tuple[str, ...]:
    """The built-in recipes."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def find(recipe: str) -> Path:
    """The file of a built-in recipe, or of a path to a TOML file.

    Raises:
        BadInputError: there is none; names those that exist.
    """
    if recipe in names():
        return FOLDER / f"{recipe}.toml"
    path = Path(recipe)
    if path.is_file():
        return path
    hint = nearest(recipe, names())
    raise BadInputError(f"--recipe {recipe!r}: no such recipe or file; built in are {', '.join(names())}{hint}")


def read(recipe: str) -> dict[str, Any]:
    """Field -> value of a recipe, types not yet checked; `recipe` itself is left out.

    A run's config.toml is a recipe too.

    Raises:
        BadInputError: it is not found or no TOML, or a key is unknown (names the nearest) or refused.
    """
    path = find(recipe)
    try:
        values = parsed(path.read_text(encoding="utf-8"), f"--recipe {recipe}")
    except OSError as error:
        raise BadInputError(f"--recipe {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"--recipe {path}: not a UTF-8 text: {error}") from error
    return {key: value for key, value in values.items() if key != "recipe"}


def parsed(text: str, where: str) -> dict[str, Any]:
    """The values of a TOML text, its keys checked; `where` begins the error messages.

    Raises:
        BadInputError: it is no TOML, or a key is unknown or refused.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{where}: not valid TOML: {error}") from error
    _check_keys(values, where)
    return values


def _check_keys(values: Mapping[str, Any], where: str) -> None:
    known = (*ACCEPTED, MODEL_CONFIG)
    for key in values:
        if key in REFUSED:
            raise BadInputError(f"{where}: {refusal(REFUSED[key])}")
        if key not in known:
            hint = nearest(key, known) or "; keys are the flags of --help with _ for -"
            raise BadInputError(f"{where}: unknown key {key}{hint}")
