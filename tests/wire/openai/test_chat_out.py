"""Requests of other dialects, written in OpenAI's."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from modelplex.errors import UnsupportedField
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
    Part,
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
from modelplex.testing.strategies import requests, wild_messages
from modelplex.wire.fidelity import Fate, Feature
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.openai.fidelity import CHAT

GOLDEN = Path(__file__).parent.parent / "golden" / "openai"
ASK = Message(Role.USER, (Text("Hi"),))
PNG = Inline("image/png", "iVBORw0KGgo=")


def written(*messages: Message, **settings: Any) -> Any:
    request = Request("m", messages or (ASK,), **settings)
    return json.loads(OPENAI_CHAT.encode_request(request).body)


EVERYTHING = Request(
    model="gpt-6-luna",
    messages=(
        Message(Role.SYSTEM, (Text("One.", CacheMark()), Text("Two."))),
        Message(
            Role.USER,
            (Text("Look:"), Image(PNG, "low"), Image(Url("https://example.org/a"))),
            "ann",
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("Hm.", "c2ln"),
                RedactedThinking("eA=="),
                Text("Let me "),
                Text("see."),
                ToolCall("call_a", "zoom", '{"by":2}'),
                ToolCall("call_b", "now", ""),
                ToolCall("call_c", "note", "free", custom=True),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("call_a", (Text("see:"), Image(PNG))),
                ToolResult("call_b", (Text("no clock"),), is_error=True),
            ),
        ),
        Message(Role.TOOL, (ToolResult("call_c", ()),)),
        Message(
            Role.USER,
            (
                Text("And this?"),
                Document(Inline("application/pdf", "JVBERi0="), context="A bill."),
                Document(
                    Inline("text/plain", base64.b64encode("größe".encode()).decode()),
                    "a.txt",
                ),
            ),
        ),
        Message(Role.ASSISTANT, (Refusal("No."),)),
    ),
    stream=True,
    max_tokens=100,
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    stop=("a", "b"),
    seed=7,
    logprobs=0,
    tools=(
        Tool("zoom", "Closer.", {"type": "object"}, True, cache=CacheMark()),
        Tool("now"),
        Tool("note", custom=True, format={"type": "text"}),
    ),
    tool_choice=ToolChoice(Choose.REQUIRED, ("zoom", "note")),
    parallel_tool_calls=False,
    response_format=JsonSchema({"type": "object"}),
    thinking=ThinkingControl(mode="enabled", budget=8000),
    user="u" * 65,
    extra={"service_tier": "auto", "container": "x"},
)


def test_a_request_full_of_everything_is_written_to_the_byte() -> None:
    encoded = OPENAI_CHAT.encode_request(EVERYTHING)
    assert encoded.body == (GOLDEN / "chat_written.json").read_bytes().rstrip()
    assert encoded.dropped == (
        "top_k",
        "cache_control",
        "service_tier",
        "container",
        "reasoning_details",
    )


def test_an_image_in_a_tool_result_follows_after_all_results_of_the_turn() -> None:
    body = json.loads(OPENAI_CHAT.encode_request(EVERYTHING).body)
    roles = [m["role"] for m in body["messages"]]
    assert roles == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "tool",
        "user",
        "assistant",
    ]
    assert body["messages"][3]["content"] == "see:\n[image attached below]"
    assert body["messages"][6]["content"][0]["type"] == "image_url"


def test_an_image_in_the_last_tool_result_gets_a_message_of_its_own() -> None:
    result = ToolResult("a", (Image(PNG),))
    last = written(ASK, Message(Role.TOOL, (result,)))["messages"][-1]
    assert last["role"] == "user"
    assert [p["type"] for p in last["content"]] == ["image_url"]


def test_an_image_in_a_tool_result_comes_before_what_was_said_about_it() -> None:
    result = Message(Role.TOOL, (ToolResult("a", (Image(PNG),)),))
    answer = Message(Role.ASSISTANT, (Text("A cat."),))
    messages = written(ASK, result, answer, ASK)["messages"]
    roles = [m["role"] for m in messages]
    assert roles == ["user", "tool", "user", "assistant", "user"]


def test_sound_is_written() -> None:
    heard = Message(Role.USER, (Audio("UklGRg==", "wav"),))
    assert written(heard)["messages"][0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    ]


def test_tool_settings_without_tools_are_left_out() -> None:
    """OpenAI refuses them."""
    body = written(tool_choice=ToolChoice(Choose.AUTO), parallel_tool_calls=True)
    assert set(body) == {"model", "messages"}


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (ToolChoice(Choose.NONE), "none"),
        (
            ToolChoice(Choose.REQUIRED, ("f",)),
            {"type": "function", "function": {"name": "f"}},
        ),
        (
            ToolChoice(Choose.AUTO, ("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_a_tool_choice_is_written_in_its_simplest_form(
    choice: ToolChoice, shown: Any
) -> None:
    assert written(tools=(Tool("f"),), tool_choice=choice)["tool_choice"] == shown


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (ThinkingControl(effort="max"), "max"),
        (ThinkingControl(mode="enabled", budget=1024), "low"),
        (ThinkingControl(mode="enabled", budget=4096), "medium"),
        (ThinkingControl(mode="enabled", budget=32000), "high"),
        (ThinkingControl(mode="enabled"), "medium"),
        (ThinkingControl(mode="disabled"), "none"),
        (ThinkingControl(mode="adaptive"), None),
    ],
)
def test_a_thinking_budget_becomes_the_nearest_effort(
    thinking: ThinkingControl, effort: str | None
) -> None:
    assert written(thinking=thinking).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("part", "settings", "param"),
    [
        (Document(Url("https://example.org/a.pdf")), {}, "messages[0].content"),
        (Document(FileId("file_1")), {}, "messages[0].content"),
        (Image(FileId("file_1")), {}, "messages[0].content"),
        (Text("a"), {"n": 2}, "n"),
        (Text("a"), {"suffix": "z"}, "suffix"),
        (Text("a"), {"audio_output": {"voice": "x"}}, "audio"),
    ],
)
def test_what_changes_the_meaning_and_has_no_place_is_refused(
    part: Part, settings: dict[str, Any], param: str
) -> None:
    request = Request("m", (Message(Role.USER, (part,)),), **settings)
    with pytest.raises(UnsupportedField) as caught:
        OPENAI_CHAT.encode_request(request)
    assert caught.value.param == param


ROUND = frozenset(f for f, v in CHAT.verdicts.items() if v.fate is Fate.CARRIED) | {
    Feature.DOCUMENT,
    Feature.THINKING_BLOCKS,
    Feature.USER,
}


@given(request=requests(ROUND))
def test_what_is_carried_is_read_again_as_it_was(request: Request) -> None:
    encoded = OPENAI_CHAT.encode_request(request)
    assert encoded.dropped == ()
    assert OPENAI_CHAT.decode_request(open_object(encoded.body)) == _as_openai(request)


def _as_openai(request: Request) -> Request:
    """The request as its own dialect would have said it."""
    messages: list[Message] = []
    for message in request.messages:
        if message.role is Role.TOOL:
            messages += [Message(Role.TOOL, (_one_text(p),)) for p in message.parts]
        elif message.role is Role.USER:
            parts = tuple(
                evolve(p, title=p.title or "document.pdf")
                if isinstance(p, Document)
                else p
                for p in message.parts
            )
            messages.append(evolve(message, parts=parts))
        else:
            messages.append(message)
    form = request.response_format
    if form is not None and form.schema is not None:
        form = evolve(form, name=form.name or "output")
    return evolve(request, messages=tuple(messages), response_format=form)


def _one_text(part: Part) -> ToolResult:
    assert isinstance(part, ToolResult)
    texts = [p.text for p in part.content if isinstance(p, Text)]
    return ToolResult(part.call_id, (Text("\n".join(texts)),))


@given(request=requests())
def test_every_request_is_written_or_refused_with_a_name(request: Request) -> None:
    try:
        encoded = OPENAI_CHAT.encode_request(request)
    except UnsupportedField as e:
        assert e.param
    else:
        again = OPENAI_CHAT.encode_request(request)
        assert encoded == again
        OPENAI_CHAT.decode_request(open_object(encoded.body))


@given(messages=wild_messages())
def test_any_order_of_messages_keeps_every_text(messages: tuple[Message, ...]) -> None:
    body = json.loads(OPENAI_CHAT.encode_request(Request("m", messages)).body)
    shown = json.dumps(body["messages"], ensure_ascii=False)
    for message in messages:
        for part in message.parts:
            if isinstance(part, Text):
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in shown
    tools = sum(len(m.parts) for m in messages if m.role is Role.TOOL)
    assert sum(m["role"] == "tool" for m in body["messages"]) == tools
