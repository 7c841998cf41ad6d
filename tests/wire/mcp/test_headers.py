"""Headers of the modern era: what is rendered is accepted, and nothing else is."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.wire.jsonrpc import RpcError
from modelplex.wire.mcp.envelope import HEADER_MISMATCH, VERSION
from modelplex.wire.mcp.headers import (
    LARGEST,
    Lookup,
    Marked,
    check,
    check_marked,
    check_single,
    encoded,
    marked,
    rendered,
)

V = "2026-07-28"


def lookup(headers: Sequence[tuple[str, str]]) -> Lookup:
    return lambda name: [
        value.encode() for key, value in headers if key.lower() == name.lower()
    ]


def params(**more: Any) -> dict[str, Any]:
    return {**more, "_meta": {VERSION: V}}


def refused(headers: Sequence[tuple[str, str]], method: str, given: Any) -> bool:
    try:
        check(lookup(headers), method, given)
    except RpcError as e:
        assert e.rpc_code == HEADER_MISMATCH
        return True
    return False


@given(name=st.text())
def test_what_is_rendered_is_accepted(name: str) -> None:
    asked = params(name=name)
    if any(0xD800 <= ord(char) < 0xE000 for char in name):
        return  # no UTF-8 says it
    assert not refused(rendered(V, "tools/call", asked), "tools/call", asked)


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_header_is_plain_ascii_without_space_around_it(value: str) -> None:
    said = encoded(value)
    assert said.isascii() and said.isprintable() and said.strip() == said


@given(name=st.text(max_size=5), other=st.text(max_size=5))
def test_another_name_is_refused(name: str, other: str) -> None:
    surrogate = any(0xD800 <= ord(char) < 0xE000 for char in name + other)
    if name == other or surrogate:
        return
    headers = rendered(V, "tools/call", params(name=other))
    assert refused(headers, "tools/call", params(name=name))


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("tools/call", {"name": "echo"}),
        ("prompts/get", {"name": "echo"}),
        ("resources/read", {"uri": "echo"}),
        ("tasks/get", {"taskId": "echo"}),
    ],
)
def test_a_name_is_required_and_compared(method: str, asked: Any) -> None:
    asked = params(**asked)
    headers = rendered(V, method, asked)
    assert dict(headers)["Mcp-Name"] == "echo"
    assert refused(headers[:-1], method, asked)
    assert refused([*headers[:-1], ("Mcp-Name", "Echo")], method, asked)


def test_space_around_a_value_is_not_of_it() -> None:
    headers = rendered(V, "tools/list", params())
    spaced = [(name, f" \t{value} ") for name, value in headers]
    assert not refused(spaced, "tools/list", params())


@pytest.mark.parametrize(
    "name",
    [
        "=?base64?ZWNobw==?=",
    ],
)
def test_base64_is_decoded(name: str) -> None:
    headers = [*rendered(V, "tools/call", params())[:2], ("Mcp-Name", name)]
    assert not refused(headers, "tools/call", params(name="echo"))


@pytest.mark.parametrize(
    "name",
    [
        *("=?base64?ZWNobw=?=", "=?base64?%%%%?=", "=?BASE64?ZWNobw==?="),
        *("=?base64?/w==?=", "=?base64?ZWNobx==?=", "echo\xe9"),
    ],
)
def test_what_is_no_base64_is_refused(name: str) -> None:
    headers = [*rendered(V, "tools/call", params())[:2], ("Mcp-Name", name)]
    assert refused(headers, "tools/call", params(name="echo"))


@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_a_header_that_stands_twice_is_refused(name: str) -> None:
    asked = params(name="echo")
    headers = rendered(V, "tools/call", asked)
    twice = [*headers, *(one for one in headers if one[0] == name)]
    assert refused(twice, "tools/call", asked)
    with pytest.raises(RpcError):
        check_single(lookup(twice))
    check_single(lookup(headers))


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


REGION = {"type": "string", "x-mcp-header": "Region"}


def test_marks_are_found_however_deep() -> None:
    inner = schema(zone={"type": "integer", "x-mcp-header": "Zone"})
    assert marked(schema(region=REGION, where=inner)) == (
        Marked("Region", ("region",), "string"),
        Marked("Zone", ("where", "zone"), "integer"),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        schema(a={"type": "string", "x-mcp-header": "a b"}),
        schema(a={"type": "string", "x-mcp-header": ""}),
        schema(a={"type": "string", "x-mcp-header": 1}),
        schema(a={"type": "number", "x-mcp-header": "A"}),
        schema(a={"type": ["string"], "x-mcp-header": "A"}),
        schema(a={"x-mcp-header": "A"}),
        schema(a={"type": "array", "items": REGION}),
        schema(a={"oneOf": [REGION]}),
        schema(a=REGION, b={**REGION, "x-mcp-header": "REGION"}),
        {"type": "object", "x-mcp-header": "A"},
        {"type": "object", "$defs": {"a": REGION}},
    ],
)
def test_a_mark_that_is_not_valid_is_told(wrong: Any) -> None:
    with pytest.raises(ValueError):
        marked(wrong)


def test_a_mark_that_is_only_a_value_is_none() -> None:
    assert marked(schema(a={"type": "object", "default": REGION})) == ()


@given(
    value=st.one_of(
        st.text(alphabet=st.characters(exclude_categories=["Cs"])),
        st.integers(-LARGEST, LARGEST),
        st.booleans(),
        st.none(),
    )
)
def test_what_an_argument_says_is_accepted(value: Any) -> None:
    marks = (Marked("Region", ("a", "b"), "string"),)
    arguments = {"a": {"b": value}}
    asked = params(name="t", arguments=arguments)
    headers = rendered(V, "tools/call", asked, marks)
    assert len(headers) == (3 if value is None else 4)
    check_marked(lookup(headers), arguments, marks)
    if value is not None:
        with pytest.raises(RpcError):
            check_marked(lookup(headers[:3]), arguments, marks)
        with pytest.raises(RpcError):
            check_marked(lookup(headers), {}, marks)


@pytest.mark.parametrize(
    ("said", "value", "same"),
    [
        *(("42", 42, True), ("42.0", 42, True), ("42", 42.0, True)),
        *(("4.2e1", 42, False), ("43", 42, False), ("true", True, True)),
        *(("True", True, False), ("1", True, False), ("42", "42", True)),
        *(("42.0", "42", False), ("9" * 400, 42, False)),
    ],
)
def test_integers_are_compared_as_numbers(said: str, value: Any, same: bool) -> None:
    marks = (Marked("N", ("n",), "integer"),)
    headers = lookup([("Mcp-Param-N", said)])
    if same:
        check_marked(headers, {"n": value}, marks)
    else:
        with pytest.raises(RpcError):
            check_marked(headers, {"n": value}, marks)


def test_a_marked_header_that_stands_twice_is_refused() -> None:
    marks = (Marked("N", ("n",), "string"),)
    with pytest.raises(RpcError):
        headers = lookup([("Mcp-Param-N", "a"), ("mcp-param-n", "a")])
        check_marked(headers, {"n": "a"}, marks)


def test_plain_names_that_look_encoded_are_encoded() -> None:
    name = "=?base64?ZWNobw==?="
    assert encoded(name) == f"=?base64?{b64encode(name.encode()).decode()}?="
