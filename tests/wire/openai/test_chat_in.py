"""Chat requests of guests: everything is read, and whatever is wrong is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, UnsupportedField
from modelplex.events import (
    Audio,
    CacheMark,
    Choose,
    Document,
    FileId,
    Image,
    Inline,
    JsonSchema,
    Message,
    RedactedThinking,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    ThinkingControl,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT

GOLDEN = Path(__file__).parent.parent / "golden" / "openai"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()


def decode(request: Any) -> Request:
    return OPENAI_CHAT.decode_request(open_object(json.dumps(request).encode()))


def asked(**members: Any) -> Request:
    given = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **members}
    return decode(given)


def said(*messages: Any) -> tuple[Message, ...]:
    return decode({"model": "m", "messages": list(messages)}).messages


def test_a_request_full_of_everything_is_read_completely() -> None:
    body = (GOLDEN / "chat_request.json").read_bytes()
    assert OPENAI_CHAT.decode_request(open_object(body)) == Request(
        model="gpt-6-luna",
        messages=(
            Message(Role.SYSTEM, (Text("Be brief."),), "ops"),
            Message(Role.SYSTEM, (Text("One."), Text("Two.", CacheMark("30m")))),
            Message(
                Role.USER,
                (
                    Text("Look:", CacheMark("1h")),
                    Image(Inline("image/png", PNG), "high"),
                    Image(Url("https://example.org/cat.jpg")),
                    Audio("UklGRg==", "wav"),
                    Document(Inline("application/pdf", "JVBERi0xLjc="), "a.pdf"),
                    Document(FileId("file-1")),
                ),
                "ann",
            ),
            Message(
                Role.ASSISTANT,
                (
                    Thinking("First I look.", "c2ln"),
                    RedactedThinking("b3BhcXVl"),
                    Text("I see a cat."),
                    ToolCall("call_a", "zoom", '{"by":2}'),
                    ToolCall("call_b", "note", "free text", custom=True),
                ),
            ),
            Message(Role.TOOL, (ToolResult("call_a", (Text("done"),)),)),
            Message(
                Role.TOOL,
                (ToolResult("call_b", (Text("x"), Image(Inline("image/png", PNG)))),),
            ),
            Message(Role.ASSISTANT, (ToolCall("call_6", "old", "{}"),)),
            Message(Role.TOOL, (ToolResult("call_6", (Text("legacy"),)),)),
            Message(Role.ASSISTANT, (Refusal("I will not."),)),
            Message(Role.USER, (Text("Go on."),)),
        ),
        stream=True,
        max_tokens=900,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        stop=("END", "STOP"),
        n=2,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.2,
        logprobs=3,
        tools=(
            Tool("zoom", "Look closer.", {"type": "object"}, strict=True),
            Tool("now"),
            Tool("note", "Writes.", custom=True, format={"type": "text"}),
            Tool("old", "Legacy.", {"type": "object", "properties": {}}),
        ),
        tool_choice=ToolChoice(Choose.REQUIRED, ("zoom", "note")),
        parallel_tool_calls=False,
        response_format=JsonSchema({"type": "object"}, "answer", "It.", True),
        thinking=ThinkingControl(effort="xhigh"),
        audio_output={"format": "wav", "voice": "alloy"},
        user="who",
        extra={"metadata": {"k": "v"}, "logit_bias": {"50256": -100}, "store": False},
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(Choose.AUTO)),
        ("none", ToolChoice(Choose.NONE)),
        ("required", ToolChoice(Choose.REQUIRED)),
        (
            {"type": "function", "function": {"name": "f"}},
            ToolChoice(Choose.REQUIRED, ("f",)),
        ),
        (
            {"type": "custom", "custom": {"name": "f"}},
            ToolChoice(Choose.REQUIRED, ("f",)),
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice(Choose.AUTO, ("f",)),
        ),
    ],
)
def test_every_form_of_tool_choice_is_read(choice: Any, expected: ToolChoice) -> None:
    assert asked(tool_choice=choice).tool_choice == expected


def test_the_legacy_function_call_is_a_tool_choice() -> None:
    assert asked(function_call="none").tool_choice == ToolChoice(Choose.NONE)
    named = asked(function_call={"name": "f"}).tool_choice
    assert named == ToolChoice(Choose.REQUIRED, ("f",))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_effort": "low"}, ThinkingControl(effort="low")),
        ({"reasoning": {"effort": "high"}}, ThinkingControl(effort="high")),
        (
            {"reasoning": {"max_tokens": 2000}},
            ThinkingControl(mode="enabled", budget=2000),
        ),
        ({"reasoning": {"enabled": False}}, ThinkingControl(effort="none")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            ThinkingControl(mode="enabled", budget=1024),
        ),
        ({"reasoning": {}}, None),
        ({"reasoning": {"enabled": True}}, ThinkingControl(effort="medium")),
        ({"thinking": {"type": "disabled"}}, ThinkingControl(mode="disabled")),
    ],
)
def test_reasoning_is_asked_for_in_any_servers_words(
    members: dict[str, Any], expected: ThinkingControl | None
) -> None:
    assert asked(**members).thinking == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_content": "a"}, (Thinking("a"),)),
        ({"reasoning": "a"}, (Thinking("a"),)),
        ({"reasoning_content": "a", "reasoning": "a"}, (Thinking("a"),)),
        (
            # as a client that kept every fragment of a stream sends it
            {
                "reasoning_content": "abc",
                "reasoning": "abc",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "a", "index": 0},
                    {"type": "reasoning.text", "text": "b", "index": 0},
                    {"type": "reasoning.text", "signature": "s", "index": 0},
                    {"type": "reasoning.text", "text": "c", "index": 1},
                    {"type": "reasoning.text", "signature": "t", "index": 1},
                    {"type": "reasoning.encrypted", "data": "x", "index": 2},
                ],
            },
            (Thinking("ab", "s"), Thinking("c", "t"), RedactedThinking("x")),
        ),
        (
            {
                "reasoning": "a",
                "reasoning_details": [{"type": "reasoning.text", "signature": "s"}],
            },
            (Thinking("a", "s"),),
        ),
        (
            {
                "reasoning": "a",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
            },
            (Thinking("a"), RedactedThinking("x")),
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "a"}]}]},
            (Thinking("a"),),
        ),
        (
            {"content": [{"type": "thinking", "thinking": "a", "signature": "s"}]},
            (Thinking("a", "s"),),
        ),
        (
            {"content": [{"type": "refusal", "refusal": "no"}]},
            (Refusal("no"),),
        ),
    ],
)
def test_earlier_reasoning_is_read_once_from_wherever_it_stands(
    members: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert said({"role": "assistant", **members}) == (
        Message(Role.ASSISTANT, expected),
    )


def test_an_answer_echoed_with_all_its_nulls_is_just_its_text() -> None:
    echoed: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "name": None,
    }
    assert said(echoed) == (Message(Role.ASSISTANT, (Text("Hi"),)),)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 1}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": ["x"]}, "messages[0]"),
    ],
)
def test_what_every_request_must_have_is_demanded(request_: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(request_)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "robot", "content": "x"}, "messages[0].role"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": []}, "messages[0].content"),
        ({"role": "user", "content": [5]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{}]}, "messages[0].content[0].type"),
        (
            {"role": "user", "content": [{"type": "text", "text": None}]},
            "messages[0].content[0].text",
        ),
        (
            {"role": "user", "content": [{"type": "video_url"}]},
            "messages[0].content[0].type",
        ),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": {}}]},
            "messages[0].content[0].type",
        ),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "function", "content": "x"}, "messages[0].name"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0].id"),
        (
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]},
            "messages[0].tool_calls[0].function.name",
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}],
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_is_wrong_in_a_message_is_named_by_its_path(
    message: Any, param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        said(message)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", 1),
        ("stream_options", True),
        ("max_tokens", 0),
        ("max_completion_tokens", 1.5),
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", 10**400),
        ("n", 0),
        ("stop", 5),
        ("seed", "x"),
        ("logprobs", 2),
        ("top_logprobs", 2),
        ("top_logprobs", 21),
        ("tools", {}),
        ("tool_choice", "perhaps"),
        ("reasoning_effort", "enormous"),
        ("modalities", ["smell"]),
        ("safety_identifier", 5),
        ("user", 5),
    ],
)
def test_a_setting_of_a_wrong_type_or_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(**{name: value})
    assert caught.value.param == name


def test_sound_is_asked_for_with_its_format() -> None:
    with pytest.raises(BadRequest) as caught:
        asked(modalities=["text", "audio"])
    assert caught.value.param == "audio"
    assert asked(audio={"format": "wav"}).audio_output is None


def test_an_image_url_may_stand_without_its_object() -> None:
    image = {"type": "image_url", "image_url": "https://example.org/a"}
    [message] = said({"role": "user", "content": [image]})
    assert message.parts == (Image(Url("https://example.org/a")),)


def test_a_whole_number_may_be_written_with_a_fraction_of_zero() -> None:
    assert asked(max_tokens=64.0).max_tokens == 64


def test_a_choice_among_no_tools_is_none() -> None:
    allowed = {"mode": "auto", "tools": []}
    with pytest.raises(BadRequest) as caught:
        asked(tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert caught.value.param == "tool_choice.allowed_tools.tools"


def test_a_tool_that_only_its_provider_has_cannot_be_translated() -> None:
    with pytest.raises(UnsupportedField) as caught:
        asked(tools=[{"type": "web_search"}])
    assert caught.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"data:image/png;base64,{PNG}", Inline("image/png", PNG)),
        (f"DATA:image/PNG;charset=utf-8;base64,{PNG}", Inline("image/png", PNG)),
        (f"data:;base64,{PNG}", Inline("image/png", PNG)),
        (f"data:application/octet-stream;base64,{PNG}", Inline("image/png", PNG)),
        (f"data:image/webp;base64,\n {PNG[:5]}\n{PNG[5:]} ", Inline("image/webp", PNG)),
        ("data:image/png;base64,_-8", Inline("image/png", "/+8=")),
        ("data:image/png;base64,%2F%2B8%3D", Inline("image/png", "/+8=")),
        (
            "data:image/svg+xml;utf8,%3Csvg/%3E",
            Inline("image/svg+xml", base64.b64encode(b"<svg/>").decode()),
        ),
        (" https://example.org/a?b=c ", Url("https://example.org/a?b=c")),
        ("HTTP://example.org/", Url("HTTP://example.org/")),
    ],
)
def test_an_image_is_taken_from_every_form_of_its_url(url: str, expected: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": url}}
    [message] = said({"role": "user", "content": [image]})
    assert message.parts == (Image(expected),)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https://a b",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,a*b=",
        "data:image/png;base64,a=bc",
        "data:image/png;base64,ü",
        "data:;base64,AAAA",
        "data:application/pdf;base64,JVBERi0xLjc=",
    ],
)
def test_an_image_url_that_is_none_is_refused(url: str) -> None:
    image = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(BadRequest) as caught:
        said({"role": "user", "content": [image]})
    assert caught.value.param == "messages[0].content[0].image_url.url"


VALID = msgspec.json.decode((GOLDEN / "chat_request.json").read_bytes())


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


@given(place=st.sampled_from(_places(VALID)), value=json_values())
def test_any_value_in_any_place_is_read_or_refused(
    place: tuple[Any, ...], value: Any
) -> None:
    request = msgspec.json.decode(msgspec.json.encode(VALID))
    *way, last = place
    inner = request
    for key in way:
        inner = inner[key]
    inner[last] = value
    try:
        decode(request)
    except BadRequest as e:
        assert e.param is not None


@given(members=st.dictionaries(st.sampled_from(sorted(VALID)), json_values(20)))
def test_any_json_is_read_or_refused(members: dict[str, Any]) -> None:
    try:
        decode(members)
    except BadRequest:
        pass
    else:
        assert members["messages"]


@pytest.mark.parametrize("value", ['"\\ud800"', "1e999", "[" * 5000 + "]" * 5000])
def test_json_that_is_no_value_of_ours_is_refused(value: str) -> None:
    text = '{"model": "m", "messages": [{"role": "user", "content": ' + value + "}]}"
    with pytest.raises(BadRequest):
        OPENAI_CHAT.decode_request(open_object(text.encode()))
