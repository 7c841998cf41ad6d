"""
The JSON Schemas of tools, as another revision or another transport wants them: pure.

Servers of the modern era may describe any value as a tool's structured output; older
clients take objects only, so such a value travels as the member ``result`` of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

WRAPPED = "result"
"""The member that a value is which older clients would not take."""

HEADER = "x-mcp-header"
_ONE = frozenset(
    (
        *("items", "additionalItems", "additionalProperties", "contains", "not", "if"),
        *("then", "else", "propertyNames", "unevaluatedItems", "contentSchema"),
        "unevaluatedProperties",
    )
)
_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems", "items"))
_MAPS = frozenset(
    ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
)
_REFERENCES = ("$ref", "$dynamicRef")


def is_object(schema: object) -> bool:
    """Whether all that `schema` describes is objects, as every revision can say it."""
    return isinstance(schema, Mapping) and schema.get("type") == "object"


def input_schema(schema: object) -> Schema:
    """
    The schema of a tool's arguments, as it is listed.

    One that is missing or not of an object takes any object. ``x-mcp-header`` is
    taken out: it asks clients for HTTP headers that nobody behind us would read.
    """
    if not isinstance(schema, Mapping):
        return {"type": "object"}
    without = _mapped(schema, _without_header)
    return without if is_object(without) else {**without, "type": "object"}


def wrapped(schema: Schema) -> Schema:
    """The schema of an object whose only member `WRAPPED` is what `schema` says."""
    inner = {key: value for key, value in schema.items() if key != "$schema"}
    if "$id" not in inner:  # or it is a resource of its own, with its own root
        inner = dict(_mapped(inner, _moved))
    outer: dict[str, Any] = {"type": "object", "properties": {WRAPPED: inner}}
    outer["required"] = [WRAPPED]
    return {"$schema": schema["$schema"], **outer} if "$schema" in schema else outer


def _without_header(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != HEADER}


def _moved(schema: Schema) -> Schema:
    """`schema` with its pointers to the root of the document led to where that is."""
    found = dict(schema)
    for key in _REFERENCES:
        reference = schema.get(key)
        if reference == "#":
            found[key] = f"#/properties/{WRAPPED}"
        elif isinstance(reference, str) and reference.startswith("#/"):
            found[key] = f"#/properties/{WRAPPED}{reference[1:]}"
    return found


def _mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """`schema` with `change` made to it and to every schema inside it."""
    return {key: _part(key, value, change) for key, value in change(schema).items()}


def _part(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if isinstance(value, Mapping) and key in _MAPS:
        return {name: _schema(one, change) for name, one in value.items()}
    if isinstance(value, Mapping) and key in _ONE:
        return _mapped(value, change)
    if isinstance(value, list) and key in _LISTS:
        return [_schema(one, change) for one in value]
    return value


def _schema(value: Any, change: Callable[[Schema], Schema]) -> Any:
    return _mapped(value, change) if isinstance(value, Mapping) else value
