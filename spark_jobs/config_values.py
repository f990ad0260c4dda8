"""A value from TOML or a flag -> the value of a config's field, strictly by the field's type. No Spark here."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taxonomy.errors import BadInputError


def converted(field: dataclasses.Field, value: Any, where: str) -> Any:
    """The value in the field's type; a value that is not meant for it is refused, never guessed.

    Args:
        field: of a config; its type is one of CONVERSIONS, with or without None.
        value: from TOML or a flag, not None.
        where: what the value comes from, for error messages.

    Raises:
        BadInputError: it is refused; the message names key, value and what is allowed.
    """
    kind = str(field.type).removesuffix(" | None")
    convert, allowed = CONVERSIONS[kind]
    made = convert(value)
    if made is None:
        raise BadInputError(f"{where}: {field.name} = {value!r} does not fit: give {allowed}")
    return made


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: Any) -> int | None:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if is_whole and not isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floats
        return None
    return number if math.isfinite(number) else None


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str | Path) and str(value).strip() else None


def _texts(value: Any) -> tuple[str, ...] | None:
    parts = split_list(value) if isinstance(value, str) else value
    is_list = isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts)
    return tuple(parts) if is_list else None


def _text_or_table(value: Any) -> str | dict[str, str] | None:
    if isinstance(value, str):
        return value
    is_table = isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair)
    return dict(value) if is_table else None


CONVERSIONS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (_bool, "true or false"),
    "str": (_text, "a text in quotes"),
    "int": (_int, "a whole number"),
    "float": (_float, "a number"),
    "Path": (_path, "a path in quotes"),
    "tuple[str, ...]": (_texts, "a list of texts, or one text with commas"),
    "str | Mapping[str, str]": (_text_or_table, 'a table ours = "theirs", or a text ours=theirs,...'),
}
"""Type of a field without its None -> what makes its value of one from outside (None: refused), and what is allowed."""


def split_list(text: str) -> list[str]:
    """The parts of a text between its commas, without outer space, empty ones left out."""
    return [part.strip() for part in text.split(",") if part.strip()]
