"""Values -> TOML that tomllib reads back as the same values. The standard library reads TOML and writes none."""

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(values: Mapping[str, Any]) -> str:
    """One line per key, in order; None is left out, mappings become inline tables.

    Args:
        values: str, int, float, bool, None, and lists, tuples and mappings of these. Texts must be encodable as UTF-8.
    """
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in values.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_value(part)}" for key, part in value.items() if part is not None)
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(map(_value, value)) + "]"


def _quoted(text: str) -> str:
    """A basic string: TOML's escapes are JSON's, but for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)
