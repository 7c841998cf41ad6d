"""
Gemini's `Schema`, which is OpenAPI's with names of its own, as JSON Schema.

It differs in types in capitals, `nullable`, numbers written as strings (protobuf's
int64), and keys in either spelling.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from modelplex.errors import BadRequest
from modelplex.events import JSON
from modelplex.wire.gemini.members import Members, members
from modelplex.wire.typed import read

_DEEPEST = 64  # levels of a schema
_COUNTS = frozenset(
    {
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
    }
)
_PLAIN = {"ref": "$ref", "defs": "$defs", "example": "examples"}
_TYPES = frozenset(
    {"ARRAY", "BOOLEAN", "INTEGER", "NULL", "NUMBER", "OBJECT", "STRING"}
)
# Members of a JSON Schema that hold schemas by name, and those that hold no schema.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES = frozenset({"const", "default", "enum", "examples"})


def json_schema(raw: bytes | Raw, where: str) -> dict[str, Any]:
    """
    The JSON Schema that means the same as the `Schema` object `raw`.

    :raises BadRequest: it is no such object; names the path to the culprit.
    """
    return _schema(raw, where, 0)


def proper(schema: dict[str, Any], where: str) -> dict[str, Any]:
    """
    A JSON Schema that may have types in capitals, without them.

    Gemini takes those in JSON Schemas too, and gemini-cli 0.61 sends them; nobody else
    knows them.

    :raises BadRequest: it is nested too deeply.
    """
    found: dict[str, Any] = _proper(schema, where, 0)
    return found


def _proper(value: Any, where: str, depth: int) -> Any:
    if depth > 2 * _DEEPEST:
        raise BadRequest(f"{where}: nested too deeply", param=where)
    if isinstance(value, list):
        return [_proper(item, where, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if name == "type":
            several = isinstance(inner, list)
            found[name] = list(map(_word, inner)) if several else _word(inner)
        elif name in _NAMED and isinstance(inner, dict):
            found[name] = {
                key: _proper(one, where, depth + 1) for key, one in inner.items()
            }
        else:
            plain = name in _VALUES
            found[name] = inner if plain else _proper(inner, where, depth + 1)
    return found


def _word(type: Any) -> Any:
    return type.lower() if isinstance(type, str) and type in _TYPES else type


def _schema(raw: bytes | Raw, where: str, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise BadRequest(f"{where}: nested too deeply", param=where)
    given = members(raw, where)
    schema: dict[str, Any] = {}
    nullable = given.get("nullable", bool)
    for name in given:
        _member(schema, given, name, depth)
    return _or_null(schema) if nullable else schema


def _member(schema: dict[str, Any], given: Members, name: str, depth: int) -> None:
    match name:
        case "type":
            if (word := _type(given)) is not None:
                schema["type"] = word
        case "nullable" | "propertyOrdering":
            pass
        case "items":
            raw = given.get(name, Raw)
            schema[name] = _schema(raw, given.where(name), depth + 1)
        case "properties" | "defs" | "$defs":
            within = given.get(name, dict[str, Raw])
            schema[_PLAIN.get(name, name)] = {
                key: _schema(raw, f"{given.where(name)}.{key}", depth + 1)
                for key, raw in within.items()
            }
        case "anyOf":
            schema[name] = [
                _schema(raw, where, depth + 1) for raw, where in given.items(name)
            ]
        case "format":
            if (word := given.get(name, str)) != "enum":
                schema[name] = word
        case "example":
            schema["examples"] = [given.get(name, Any)]
        case _ if name in _COUNTS:
            schema[name] = _count(given, name)
        case _:
            schema[_PLAIN.get(name, name)] = given.get(name, Any)


def _type(given: Members) -> JSON:
    word = given.get("type", str | list[str])
    if isinstance(word, list):
        return [item.lower() for item in word]
    return None if word == "TYPE_UNSPECIFIED" else word.lower()


def _count(given: Members, name: str) -> int:
    raw = given.get(name, Raw)
    try:
        return msgspec.json.decode(raw, type=int, strict=False)
    except msgspec.DecodeError:
        return int(read(raw, int, given.where(name)))


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = kind if kind == "null" else [kind, "null"]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"].append({"type": "null"})
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"].append(None)
    return schema
