"""Strategies for the small things that canonical values are made of."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_PRINTED = st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip()))


@cache
def texts() -> SearchStrategy[str]:
    """Text that is neither empty nor only white space."""
    return st.one_of(
        st.sampled_from(["Hi", "größe", "☃ 😀", 'a"\\\n\u2028b']), _PRINTED
    )


@cache
def names() -> SearchStrategy[str]:
    """Tool names and the like that every API takes."""
    return st.text("abcXYZ019_", max_size=6).map("f{}".format)


@cache
def ids() -> SearchStrategy[str]:
    """Ids of tool calls that every API takes."""
    return st.text("abcXYZ019", max_size=4).map("call_{}".format)


@cache
def json_values(max_leaves: int = 8) -> SearchStrategy[Any]:
    """Anything that JSON can say, small; numbers are such as survive a round trip."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(-1e9, 1e9, width=32).map(float),
        st.text(max_size=6),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.text(max_size=6), inner, max_size=3),
        ),
        max_leaves=max_leaves,
    )


@cache
def json_objects() -> SearchStrategy[dict[str, Any]]:
    """JSON objects with members of any kind."""
    return st.dictionaries(names(), json_values(4), max_size=3)


@cache
def arguments() -> SearchStrategy[str]:
    """What a model writes as a tool's arguments: a compact JSON object."""
    return json_objects().map(lambda value: msgspec.json.encode(value).decode())


@cache
def schemas() -> SearchStrategy[dict[str, Any]]:
    """JSON Schemas of objects that every API takes, strict ones included."""
    property = st.sampled_from(
        [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]
    )
    return st.dictionaries(names(), property, max_size=3).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties),
            "additionalProperties": False,
        }
    )


def cut(text: str) -> SearchStrategy[list[str]]:
    """`text` in up to four pieces, none of them empty."""
    if len(text) < 2:
        return st.just([text] if text else [])
    places = st.lists(st.integers(1, len(text) - 1), max_size=3, unique=True)
    return places.map(
        lambda at: [
            text[a:b]
            for a, b in zip([0, *sorted(at)], [*sorted(at), len(text)], strict=True)
        ]
    )


def chopped(data: bytes) -> SearchStrategy[list[bytes]]:
    """`data` in pieces as a network might deliver it; some may be empty."""
    some = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return st.one_of(
        some.map(
            lambda at: [
                data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)
            ]
        ),
        st.just([data[i : i + 1] for i in range(len(data))]),
        st.just([data]),
    )


@cache
def base64_texts() -> SearchStrategy[str]:
    """Base64 of a few bytes."""
    return st.binary(min_size=1, max_size=6).map(lambda b: base64.b64encode(b).decode())
