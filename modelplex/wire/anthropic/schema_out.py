"""
JSON Schemas cut to what Anthropic takes, for tools and for structured outputs.

Structured outputs know a subset of JSON Schema: no recursion, every object closed,
no bounds on numbers and lengths (Anthropic docs, "Structured outputs").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelplex.events import JSON

_SUBSET = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
        "description",
        "title",
        "default",
        "format",
        "additionalProperties",
    }
)
_UNIONS = ("anyOf", "oneOf", "allOf")
_DEEPEST = 64  # levels of a schema; deeper ones are taken for recursive


def tool_schema(schema: JSON) -> dict[str, Any]:
    """
    `schema` as an `input_schema`, whose root must be an object and no union.

    The branches of a union at the root become one object: what only some of them
    ask for is optional.
    """
    if not isinstance(schema, Mapping):
        return {"type": "object", "properties": {}}
    if schema.get("type") == "object" and not any(u in schema for u in _UNIONS):
        return dict(schema)
    rooted = {k: v for k, v in schema.items() if k not in _UNIONS}
    rooted["type"] = "object"
    properties = _properties(schema)
    required = _required(schema)
    for union in _UNIONS:
        branches = [b for b in _list(schema.get(union)) if isinstance(b, Mapping)]
        for branch in branches:
            properties = {**_properties(branch), **properties}
        wanted = [_required(branch) for branch in branches]
        if wanted:
            merge = set.union if union == "allOf" else set.intersection
            required |= merge(*wanted)
    rooted["properties"] = properties
    if required:
        rooted["required"] = sorted(required)
    return rooted


def fits(schema: JSON) -> bool:
    """Whether `schema` lies within the subset of structured outputs as it is."""
    return schema is not None and subset(schema) == schema


def subset(schema: JSON) -> dict[str, Any] | None:
    """
    `schema` within the subset of structured outputs, or ``None`` if it cannot be.

    A bound that the subset lacks is said in the description instead. A schema with
    recursion or with open objects cannot be cut without changing what it means.
    """
    if not isinstance(schema, Mapping) or _recursive(schema):
        return None
    try:
        cut = _cut(schema, 0)
    except _Unfit:
        return None
    return cut if isinstance(cut, dict) else None


class _Unfit(Exception):
    """The schema means something that the subset cannot say."""


def _cut(schema: JSON, depth: int) -> JSON:
    if depth > _DEEPEST or not isinstance(schema, Mapping):
        raise _Unfit  # `true` allows anything
    cut: dict[str, Any] = {}
    unsaid: list[str] = []
    for key, value in schema.items():
        match key:
            case "properties" | "$defs" | "definitions":
                members = value.items() if isinstance(value, Mapping) else ()
                cut[key] = {name: _cut(inner, depth + 1) for name, inner in members}
            case "items":
                cut[key] = _cut(value, depth + 1)
            case "anyOf" | "oneOf" | "allOf":
                branches = [_cut(inner, depth + 1) for inner in _list(value)]
                cut["anyOf" if key == "oneOf" else key] = branches
            case "additionalProperties":
                if value is not False:
                    raise _Unfit
                cut[key] = value
            case "patternProperties" | "not" | "if" | "prefixItems" | "$dynamicRef":
                raise _Unfit
            case "$schema" | "$id" | "$comment" | "strict":
                pass
            case _ if key in _SUBSET:
                cut[key] = value
            case _:
                unsaid.append(f"{key}: {msgspec.json.encode(value).decode()}")
    if cut.get("type") == "object" or "properties" in cut:
        cut["additionalProperties"] = False
    if unsaid:
        said = cut.get("description")
        lead = f"{said} " if isinstance(said, str) and said else ""
        cut["description"] = f"{lead}({'; '.join(unsaid)})"
    return cut


def _recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition refers to itself, or to anything not defined beside it."""
    definitions = {
        f"#/{where}/{name}": inner
        for where in ("$defs", "definitions")
        for name, inner in _mapping(schema.get(where)).items()
    }
    top = {k: v for k, v in schema.items() if k not in ("$defs", "definitions")}
    safe: set[str] = set()

    def loops(value: Any, path: tuple[str, ...]) -> bool:
        for ref in _refs(value, 0):
            if ref in path or ref not in definitions or len(path) > _DEEPEST:
                return True
            if ref not in safe:
                if loops(definitions[ref], (*path, ref)):
                    return True
                safe.add(ref)
        return False

    return loops(top, ()) or any(loops(d, (r,)) for r, d in definitions.items())


def _refs(value: Any, depth: int) -> list[str]:
    if depth > 2 * _DEEPEST:
        return ["too deep"]
    found: list[str] = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "$ref":
                found.append(str(inner))
            else:
                found += _refs(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            found += _refs(inner, depth + 1)
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_mapping(schema.get("properties")))


def _required(schema: Mapping[str, Any]) -> set[str]:
    return {name for name in _list(schema.get("required")) if isinstance(name, str)}
