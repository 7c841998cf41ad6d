"""
JSON Schemas as Gemini takes them, for tools and for structured output.

``parametersJsonSchema`` takes JSON Schema. ``responseJsonSchema`` knows a subset
(Gemini docs, "GenerationConfig.responseJsonSchema"): beside a ``$ref`` stand only
members that begin with ``$``, and ``oneOf`` means ``anyOf``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelplex.events import JSON

_SUBSET = frozenset(
    {
        "$id",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "required",
        "propertyOrdering",
    }
)
_NOTES = frozenset(
    {
        "$schema",
        "$comment",
        "strict",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    }
)
# What may bring a schema of an object properties of its own.
_SOURCES = frozenset({"anyOf", "oneOf", "allOf", "$ref", "patternProperties"})
_DEEPEST = 64  # levels of a schema


def tool_schema(schema: JSON) -> dict[str, Any] | None:
    """`schema` as a `parametersJsonSchema`; ``None`` for a tool without arguments."""
    if not isinstance(schema, Mapping):
        return None
    rest = {k: v for k, v in schema.items() if k not in ("$schema", "strict")}
    return rest if _has_arguments(rest) else None


def _has_arguments(schema: Mapping[str, Any]) -> bool:
    if schema.get("type", "object") != "object" or schema.get("properties"):
        return True
    if _SOURCES & schema.keys():
        return True
    return isinstance(schema.get("additionalProperties"), Mapping)


def subset(schema: JSON) -> dict[str, Any] | None:
    """
    `schema` within what structured output knows; ``None`` if it is no schema for it.

    A bound that the subset lacks is said in the description instead.
    """
    try:
        cut = _cut(schema, 0)
    except _Unfit:
        return None
    return cut if isinstance(cut, dict) else None


class _Unfit(Exception):
    """Too deep, or no schema at all."""


def _cut(schema: JSON, depth: int) -> JSON:
    if isinstance(schema, bool) and depth:
        return {} if schema else {"not": {}}
    if depth > _DEEPEST or not isinstance(schema, Mapping):
        raise _Unfit
    cut: dict[str, Any] = {}
    unsaid: list[str] = []
    for key, value in schema.items():
        match key:
            case "properties" | "$defs" | "definitions":
                inner = value.items() if isinstance(value, Mapping) else ()
                made = {name: _cut(item, depth + 1) for name, item in inner}
                cut.setdefault(key if key == "properties" else "$defs", {}).update(made)
            case "items":
                cut[key] = _cut(value, depth + 1)
            case "prefixItems":
                cut[key] = [_cut(item, depth + 1) for item in _list(value)]
            case "anyOf" | "oneOf":
                made_of = [_cut(item, depth + 1) for item in _list(value)]
                cut.setdefault("anyOf", []).extend(made_of)
            case "allOf" if len(_list(value)) == 1:
                merged = _cut(_list(value)[0], depth + 1)
                cut = {**merged, **cut}
            case "additionalProperties":
                cut[key] = value if isinstance(value, bool) else _cut(value, depth + 1)
            case "const":
                cut["enum"] = [value]
            case "$ref":
                cut[key] = _moved(value)
            case _ if key in _SUBSET:
                cut[key] = value
            case _ if key not in _NOTES:
                unsaid.append(f"{key}: {msgspec.json.encode(value).decode()}")
    if "$ref" in cut:
        return {key: value for key, value in cut.items() if key.startswith("$")}
    if unsaid:
        said = cut.get("description")
        lead = f"{said} " if isinstance(said, str) and said else ""
        cut["description"] = f"{lead}({'; '.join(unsaid)})"
    return cut


def _moved(ref: JSON) -> JSON:
    if isinstance(ref, str) and ref.startswith("#/definitions/"):
        return "#/$defs/" + ref.removeprefix("#/definitions/")
    return ref


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
