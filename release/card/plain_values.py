"""Trees of frozen dataclasses to plain JSON values and back, every value checked against its field's type."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin

from taxonomy.errors import BadInputError

Tree = TypeVar("Tree")


def to_plain(value: Any) -> Any:
    """The tree as dicts, lists and plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    return value


def from_plain(kind: type[Tree], stored: Mapping[str, Any], where: str) -> Tree:
    """The tree that `to_plain` made plain; keys that its classes do not have are passed over.

    Raises:
        BadInputError: a value is missing or of another type; begins with `where`.
    """
    return _made(kind, stored, where, "facts")


def _made(kind: Any, value: Any, where: str, name: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _made(next(one for one in inner if one is not type(None)), value, where, name)
    if dataclasses.is_dataclass(kind):
        return _made_dataclass(kind, value, where, name)
    if origin is tuple:
        _check(value, list | tuple, where, name, "a list")
        return tuple(_made(inner[0], each, where, f"{name}[{number}]") for number, each in enumerate(value))
    if origin is not None:
        _check(value, Mapping, where, name, "a table")
        return {str(key): _made(inner[1], each, where, f"{name}.{key}") for key, each in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadInputError(f"{where}: {name} is {_short(value)}, not {kind.__name__}")
    return value


def _made_dataclass(kind: Any, value: Any, where: str, name: str) -> Any:
    _check(value, Mapping, where, name, "a table")
    hints = typing.get_type_hints(kind)
    given = {one.name: value[one.name] for one in dataclasses.fields(kind) if one.name in value}
    missing = [
        one.name
        for one in dataclasses.fields(kind)
        if one.name not in given and one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise BadInputError(f"{where}: {name} lacks {', '.join(missing)}")
    return kind(**{key: _made(hints[key], each, where, f"{name}.{key}") for key, each in given.items()})


def _check(value: Any, kind: Any, where: str, name: str, words: str) -> None:
    if not isinstance(value, kind):
        raise BadInputError(f"{where}: {name} is {_short(value)}, not {words}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
