"""Schemas of tools for other revisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from modelplex.wire.mcp.schemas import HEADER, input_schema, is_object, wrapped

NESTED: dict[str, Any] = {
    "type": "array",
    "items": {"$ref": "#/$defs/node"},
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "$ref": {"type": "string"},
                "next": {"$ref": "#/$defs/node"},
            },
            "required": ["$ref"],
        }
    },
}


def test_a_wrapped_schema_takes_the_wrapped_value_and_nothing_else() -> None:
    schema = wrapped(NESTED)
    check = Draft202012Validator(dict(schema))
    assert check.is_valid({"result": [{"$ref": "a", "next": {"$ref": "b"}}]})
    assert not check.is_valid({"result": [{"$ref": "a", "next": {}}]})
    assert not check.is_valid([{"$ref": "a"}])


def test_a_schema_that_refers_to_itself_still_does() -> None:
    schema = wrapped({"type": "array", "items": {"$ref": "#"}, "maxItems": 1})
    check = Draft202012Validator(dict(schema))
    assert check.is_valid({"result": [[[]]]})
    assert not check.is_valid({"result": [[[], []]]})


def test_a_schema_with_an_id_of_its_own_keeps_its_references() -> None:
    schema = {"$id": "urn:x", "type": "array", "items": {"$ref": "#/$defs/a"}}
    assert wrapped(schema)["properties"]["result"]["items"] == {"$ref": "#/$defs/a"}


def test_the_dialect_stays_at_the_root() -> None:
    schema = wrapped({"$schema": "urn:dialect", "type": "string"})
    assert schema["$schema"] == "urn:dialect"
    assert "$schema" not in schema["properties"]["result"]


def test_headers_are_not_asked_for_and_a_property_of_that_name_stays() -> None:
    schema = {
        "type": "object",
        HEADER: "A",
        "properties": {
            HEADER: {"type": "string", HEADER: "B"},
            "deep": {"anyOf": [{"type": "string", HEADER: "C"}, True]},
            "const": {"const": {HEADER: "D"}},
        },
        "items": [{HEADER: "E"}],
    }
    assert input_schema(schema) == {
        "type": "object",
        "properties": {
            HEADER: {"type": "string"},
            "deep": {"anyOf": [{"type": "string"}, True]},
            "const": {"const": {HEADER: "D"}},
        },
        "items": [{}],
    }


@pytest.mark.parametrize("schema", [None, 3, [], {}, {"type": ["object"]}, "object"])
def test_arguments_are_always_an_object(schema: object) -> None:
    assert is_object(input_schema(schema))


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["properties", "items", "allOf", "$ref", "type", HEADER, "not", "$defs"]
            )
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_a_server_calls_a_schema_is_survived(schema: Any) -> None:
    listed = input_schema(schema)
    assert is_object(listed)
    assert input_schema(listed) == listed
    if isinstance(schema, dict):
        assert is_object(wrapped(schema))
