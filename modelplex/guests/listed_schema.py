"""A schema without a property that guests are not to see: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without(schema: Mapping[str, Any], tokens: tuple[str, ...]) -> Mapping[str, Any]:
    """
    `schema` without the property that `tokens` lead to.

    Only what stands in it is changed, and not what it refers to.
    """
    first, rest = tokens[0], tokens[1:]
    changed = dict(schema)
    known = schema.get("properties")
    if isinstance(known, Mapping) and first in known:
        if rest:
            below = known[first]
            if isinstance(below, Mapping):
                changed["properties"] = {**known, first: without(below, rest)}
        else:
            changed["properties"] = {k: v for k, v in known.items() if k != first}
    if not rest:
        changed |= _unnamed(schema, first)
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            changed[key] = [
                without(one, tokens) if isinstance(one, Mapping) else one
                for one in schema[key]
            ]
    return changed


def _unnamed(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The members of a schema that name a property, without it."""
    changed: dict[str, Any] = {}
    required = schema.get("required")
    if isinstance(required, list):
        changed["required"] = [one for one in required if one != name]
    for key in ("dependentRequired", "dependentSchemas", "dependencies", "default"):
        if isinstance(schema.get(key), Mapping) and name in schema[key]:
            changed[key] = {k: v for k, v in schema[key].items() if k != name}
    if isinstance(schema.get("examples"), list):
        changed["examples"] = [
            {k: v for k, v in one.items() if k != name}
            if isinstance(one, dict)
            else one
            for one in schema["examples"]
        ]
    return changed
