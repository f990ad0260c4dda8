"""A record against its JSON Schema, for the few keywords that the schema uses; jsonschema is needed by tests alone."""

import re
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}

_SAYING = ("$schema", "title", "description")
KEYWORDS = frozenset(
    (*_SAYING, "$defs", "$ref", "type", "const", "enum", "minimum", "maximum", "pattern", "properties", "required")
) | {"additionalProperties", "items"}
"""Those a schema may use here."""


def first_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """In a few words where the value breaks the schema; None where it does not.

    Args:
        value: as JSON gives it.
        schema: of no other keywords than KEYWORDS; a $ref points into its $defs.
    """
    return _problem(value, schema, schema.get("$defs", {}), "record")


def _problem(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> str | None:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    wrong = _wrong_alone(value, schema)
    if wrong:
        return f"{where} {wrong}"
    if isinstance(value, dict):
        return _problem_inside(value, schema, definitions, where)
    if isinstance(value, list) and "items" in schema:
        found = (_problem(each, schema["items"], definitions, f"{where}[{n}]") for n, each in enumerate(value))
        return next((problem for problem in found if problem), None)
    return None


def _problem_inside(
    value: dict[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any], where: str
) -> str | None:
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{where} has no {missing[0]}"
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, each in value.items():
        of_name = properties.get(name, others)
        if of_name is False:
            return f"{where} has an unknown field {name}"
        problem = _problem(each, of_name, definitions, f"{where}.{name}") if isinstance(of_name, dict) else None
        if problem:
            return problem
    return None


def _wrong_alone(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a value whatever is inside it."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, name) for name in types):
        return f"is {_short(value)}, not {' or '.join(types)}"
    if "const" in schema and (value != schema["const"] or isinstance(value, bool)):
        return f"is {_short(value)}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"is {_short(value)}, not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        return None if re.search(schema.get("pattern", ""), value) else f"is {_short(value)}, not {schema['pattern']}"
    if not _is(value, "number"):
        return None
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return None if low <= value <= high else f"is {value}, not from {low} to {high}"


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):  # True is an int to Python, not to JSON
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
