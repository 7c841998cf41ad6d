"""Requests of ``/api/chat`` that are wrong, by accident or on purpose."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest
from modelplex.events import (
    Choose,
    Message,
    Part,
    Request,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.typed import member

PNG = "iVBORw0KGgowMDAw"
LOOK = Tool("look", "Look somewhere.", {"type": "object", "properties": {}})


def decode(**body: Any) -> Request:
    whole = {"model": "m", "messages": []} | body
    return OLLAMA.decode_request(open_object(msgspec.json.encode(whole)))


def encode(*messages: Message, **settings: Any) -> dict[str, Any]:
    encoded = OLLAMA.encode_request(Request("m", messages, **settings))
    body: dict[str, Any] = msgspec.json.decode(encoded.body)
    return body


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def called(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {}}} | more


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": ["a"]}, "messages[0]"),
        ({"messages": [{}]}, "messages[0]"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "images": [1]}]}, "messages[0].images[0]"),
        (
            {"messages": [called(call("f", function={}))]},
            "messages[0].tool_calls[0].function",
        ),
        (
            {"messages": [called({"function": {"name": "f", "arguments": "{}"}})]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {
                "messages": [
                    called(call("f")),
                    {"role": "tool", "images": [b64encode(b"OggS1234").decode()]},
                ]
            },
            "messages[1].images",
        ),
        (
            {"tools": [{"type": "web_search", "function": {"name": "f"}}]},
            "tools[0].type",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        (
            {"tools": [{"function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"stream": "yes"}, "stream"),
        ({"format": 1}, "format"),
        ({"format": "yaml"}, "format"),
        ({"think": "deep"}, "think"),
        ({"think": 1}, "think"),
        ({"logprobs": 1}, "logprobs"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"seed": True}}, "options.seed"),
        ({"options": {"stop": ["a", 1]}}, "options.stop[1]"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(**body)
    assert refused.value.param == param
    assert param in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        b'{"model":"m","options":[]}',
        b'{"model":"m","options":{"seed":1,"seed":2}}',
        b'{"model":"m","keep_alive":1e999}',
        b'{"model":"m","think":"\\udc00\\ud800"}',
    ],
)
def test_json_that_parsers_disagree_about_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest):
        OLLAMA.decode_request(open_object(text))


@pytest.mark.parametrize(
    "around",
    [
        b'{"model":"m","format":{"a":%s}}',
        b'{"model":"m","keep_alive":%s}',
        b'{"model":"m","options":{"x":%s}}',
        b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":'
        b'{"name":"f","arguments":{"a":%s}}}]}]}',
    ],
)
def test_no_depth_is_more_than_a_bad_request(around: bytes) -> None:
    outcomes: set[type] = set()
    for depth in range(700, 1050):
        text = around % (b"[" * depth + b"]" * depth)
        try:
            request = OLLAMA.decode_request(open_object(text))
            outcomes.add(type(OLLAMA.encode_request(request)))
        except BadRequest as e:
            outcomes.add(type(e))
    assert BadRequest in outcomes
    assert len(outcomes) == 2


def test_a_value_that_is_no_json_is_refused_by_its_path() -> None:
    unchecked = JsonObject(b'{"x":"\\ud800"}', {"x": (5, 13)})
    with pytest.raises(BadRequest) as refused:
        member(unchecked, "x", str, within="options.")
    assert refused.value.param == "options.x"


def test_a_call_without_arguments_has_none() -> None:
    nothing = {"function": {"name": "f", "arguments": None}}
    bare = {"function": {"name": "f"}}
    (message,) = decode(messages=[called(nothing, bare)]).messages
    assert [p.arguments for p in message.parts if isinstance(p, ToolCall)] == ["{}"] * 2


def test_what_is_no_result_in_a_tool_message_is_not_sent() -> None:
    assert encode(Message(Role.TOOL, (Text("stray"),)))["messages"] == []


def test_a_required_call_is_asked_for_even_with_system_messages_only() -> None:
    body = encode(
        Message(Role.SYSTEM, (Text("a"),)),
        tools=(LOOK,),
        tool_choice=ToolChoice(Choose.REQUIRED),
    )
    assert [m["role"] for m in body["messages"]] == ["system", "system"]


_WORDS = st.sampled_from(
    [
        "role",
        "content",
        "thinking",
        "images",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "tool_name",
        "tool_call_id",
        "id",
        "type",
        "parameters",
        "temperature",
        "stop",
        "num_predict",
        "seed",
        "top_k",
    ]
)
_ODD = st.recursive(
    st.one_of(
        json_values(2), st.sampled_from(["user", "assistant", "tool", PNG, "json"])
    ),
    lambda inner: st.one_of(
        st.dictionaries(_WORDS, inner, max_size=5), st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)
_MEMBERS = st.sampled_from(
    [
        "model",
        "messages",
        "tools",
        "options",
        "format",
        "think",
        "stream",
        "logprobs",
        "top_logprobs",
        "keep_alive",
        "template",
    ]
)


@given(body=st.dictionaries(_MEMBERS, _ODD))
def test_any_object_is_a_request_or_a_bad_request(body: dict[str, Any]) -> None:
    try:
        request = decode(**body)
    except BadRequest:
        return
    assert OLLAMA.encode_request(request).body
