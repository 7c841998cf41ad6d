"""Calls that Modelplex makes for a model: told to guests, and read back from them."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, UpstreamError
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    HostCall,
    HostResult,
    HostTools,
    Image,
    Inline,
    Message,
    Request,
    Role,
    Started,
    Text,
    TextDelta,
    Thinking,
    ToolCall,
    ToolResult,
    gather,
    spread,
)
from modelplex.testing import (
    oracle_anthropic,
    oracle_gemini,
    oracle_openai,
    oracle_responses,
)
from modelplex.testing.answered import reply_events
from modelplex.testing.pieces import arguments, names, schemas, texts
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.responses.dialect import RESPONSES

ANSWERING = Answering("m", 1, include_usage=True, id="id_1")
PICTURE = Image(Inline("image/png", "aGk="))


@st.composite
def host_rounds(draw: st.DrawFn) -> list[Event]:
    """A reply with rounds of calls before what the model says last."""
    events: list[Event] = [Started("msg_1", "m")]
    if draw(st.booleans()):
        tool = {"name": draw(names()), "inputSchema": draw(schemas())}
        events.append(HostTools("host", (tool,)))
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            events.append(TextDelta(draw(texts())))
        calls = []
        for _ in range(draw(st.integers(1, 3))):
            count += 1
            written = draw(st.one_of(arguments(), texts(), st.just("")))
            calls.append(HostCall(f"call_{count}", "host", draw(names()), written))
        events += calls
        for call in draw(st.permutations(calls)):
            content = draw(st.lists(st.one_of(texts().map(Text), st.just(PICTURE))))
            events.append(HostResult(call.id, tuple(content), draw(st.booleans())))
    rest = draw(reply_events(thinking=True, signatures=True))
    return [*events, *rest[1:]]


def streamed(dialect: Dialect, events: list[Event]) -> bytes:
    encoder = dialect.encoder(ANSWERING)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def whole(dialect: Dialect, events: list[Event]) -> Any:
    return json.loads(dialect.encode_reply(gather(events), ANSWERING))


def made(events: list[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, HostCall)]


@given(host_rounds())
def test_a_reply_with_calls_can_be_gathered_and_spread(events: list[Event]) -> None:
    reply = gather(events)
    assert gather(spread(reply)) == reply
    assert [p for p in reply.parts if isinstance(p, HostCall)] == [
        event for event in events if isinstance(event, HostCall)
    ]
    assert not any(isinstance(part, HostCall | HostResult) for part in reply.said)


@given(host_rounds())
def test_responses_have_items_of_their_own(events: list[Event]) -> None:
    response = oracle_responses.accumulate(streamed(RESPONSES, events))
    items = [one for one in response["output"] if one["type"] == "mcp_call"]
    assert [one["name"] for one in items] == made(events)
    given = {e.call_id: e for e in events if isinstance(e, HostResult)}
    calls = [e for e in events if isinstance(e, HostCall)]
    for call, item in zip(calls, items, strict=True):
        said = "\n".join(given[call.id].texts)
        told = item["output"]
        if given[call.id].is_error:
            told = item["error"]["content"][0]["text"]
        assert told == said
        assert item["arguments"] == call.arguments
    told = whole(RESPONSES, events)["output"]
    assert [one for one in told if one["type"] == "mcp_call"] == items


@given(host_rounds())
def test_messages_have_blocks_of_their_own(events: list[Event]) -> None:
    message = oracle_anthropic.read_message(streamed(ANTHROPIC, events))
    blocks = [b for b in message["content"] if b["type"].startswith("mcp_")]
    assert [b["name"] for b in blocks if "name" in b] == made(events)
    told = whole(ANTHROPIC, events)["content"]
    assert [b for b in told if b["type"].startswith("mcp_")] == blocks


@given(host_rounds())
def test_other_dialects_say_nothing_of_them(events: list[Event]) -> None:
    others: list[Event] = [
        event
        for event in events
        if not isinstance(event, HostCall | HostResult | HostTools)
    ]
    for dialect in (OPENAI_CHAT, GEMINI, OLLAMA):
        assert streamed(dialect, events) == streamed(dialect, others)
    oracle_openai.accumulate_chat(streamed(OPENAI_CHAT, events), include_usage=True)
    oracle_gemini.read_reply(oracle_gemini.frames(streamed(GEMINI, events)))
    for dialect in (GEMINI, OLLAMA):
        assert "host" not in json.dumps(whole(dialect, events))


def test_a_response_that_breaks_off_has_only_the_calls_that_ended() -> None:
    encoder = RESPONSES.encoder(ANSWERING)
    calls = [HostCall(id, "host", "f", "{}") for id in ("a", "b")]
    told: list[Event] = [*calls, HostResult("b", (Text("done"),))]
    stream = b"".join(map(encoder.encode, told)) + encoder.fail(UpstreamError("x"))
    [item] = oracle_responses.accumulate(stream)["output"]
    assert (item["status"], item["output"]) == ("completed", "done")


# --- as the SDKs have them

SOME: list[Event] = [
    Started("msg_1", "m"),
    HostTools(
        "host",
        ({"name": "f", "description": "F", "inputSchema": {"type": "object"}},),
    ),
    TextDelta("Let me see."),
    HostCall("a", "host", "f", '{"x":1}'),
    HostCall("b", "host", "g", ""),
    HostResult("b", (Text("no"),), is_error=True),
    HostResult("a", (Text("yes"), PICTURE)),
    TextDelta("It is."),
    Finished(FinishReason.STOP),
]


def test_openais_sdk_knows_every_event_and_item() -> None:
    types: Any = openai.types.responses
    adapter: Any = pydantic.TypeAdapter(types.ResponseStreamEvent)
    for payload in oracle_responses.payloads(streamed(RESPONSES, SOME)):
        adapter.validate_python(payload)
    response: Any = types.Response.model_validate(whole(RESPONSES, SOME))
    listed, _, first, second, _ = response.output
    assert (listed.type, listed.tools[0].name) == ("mcp_list_tools", "f")
    assert (first.server_label, first.output) == ("host", "yes\n[image]")
    assert second.error.type == "mcp_tool_execution_error"
    assert (second.error.content[0]["text"], second.output) == ("no", None)


def test_anthropics_sdk_knows_every_event_and_block() -> None:
    types: Any = anthropic.types.beta
    adapter: Any = pydantic.TypeAdapter(types.BetaRawMessageStreamEvent)
    for payload in oracle_anthropic.frames(streamed(ANTHROPIC, SOME)):
        if payload["type"] != "ping":
            adapter.validate_python(payload)
    message: Any = types.BetaMessage.model_validate(whole(ANTHROPIC, SOME))
    kinds = [block.type for block in message.content]
    assert kinds == [
        *("text", "mcp_tool_use", "mcp_tool_use", "mcp_tool_result"),
        *("mcp_tool_result", "text"),
    ]
    assert message.content[1].input == {"x": 1}
    assert message.content[3].is_error is True


# --- read back


def messages_of(dialect: Dialect, **members: Any) -> tuple[Message, ...]:
    body = {"model": "m", "max_tokens": 9, **members}
    request: Request = dialect.decode_request(open_object(json.dumps(body).encode()))
    return request.messages


def test_blocks_come_back_as_calls_and_results() -> None:
    content = whole(ANTHROPIC, SOME)["content"]
    told = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "y"},
    ]
    found = messages_of(ANTHROPIC, messages=told)
    calls = (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}"))
    assert found[1:4] == (
        Message(Role.ASSISTANT, (Text("Let me see."), *calls)),
        Message(
            Role.TOOL,
            (
                ToolResult("b", (Text("no"),), is_error=True),
                ToolResult("a", (Text("yes"), Text("[image]"))),
            ),
        ),
        Message(Role.ASSISTANT, (Text("It is."),)),
    )


def test_items_come_back_as_calls_and_results() -> None:
    output = whole(RESPONSES, SOME)["output"]
    user = {"role": "user", "content": "x"}
    found = messages_of(RESPONSES, input=[user, *output, user])
    assert [message.role.value for message in found] == [
        *("user", "assistant", "tool", "assistant", "user"),
    ]
    text, first, second = found[1].parts
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert text == Text("Let me see.")
    assert (first.name, first.arguments) == ("f", '{"x":1}')
    assert found[2].parts == (
        ToolResult(first.id, (Text("yes\n[image]"),)),
        ToolResult(second.id, (Text("no"),), is_error=True),
    )


def test_a_call_of_the_guest_beside_ours_stays_in_one_turn() -> None:
    call = {"type": "mcp_call", "name": "f", "server_label": "host"}
    items = [
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "g1", "name": "own", "arguments": "{}"},
        {**call, "id": "mcp_1", "arguments": "{}", "output": "yes"},
        {"type": "function_call_output", "call_id": "g1", "output": "rain"},
        {**call, "id": "mcp_1", "arguments": "", "output": None},
        {**call, "arguments": "{}", "error": {"code": 1}},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
        {**call, "id": "mcp_2", "arguments": "{}", "output": "again"},
    ]
    found = messages_of(RESPONSES, input=items)
    assert [message.role.value for message in found] == [
        *("user", "assistant", "tool", "tool", "assistant", "tool"),
        *("assistant", "tool"),
    ]
    assert [p.id for p in found[1].parts if isinstance(p, ToolCall)] == ["g1", "mcp_1"]
    empty, failed = found[5].parts
    assert empty == ToolResult("mcp_1", ())
    assert isinstance(failed, ToolResult) and failed.is_error
    assert failed.content == (Text('{"code":1}'),)


def test_thoughts_stay_before_the_call_that_they_led_to() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "mcp_tool_use", "id": "a", "name": "f", "server_name": "h"},
        {"type": "mcp_tool_result", "tool_use_id": "a", "content": "yes"},
    ]
    told = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": content},
    ]
    found = messages_of(ANTHROPIC, messages=told)
    assert found[1].parts == (Thinking("hm", "sig"), ToolCall("a", "f", "{}"))
    assert found[2].parts == (ToolResult("a", (Text("yes"),)),)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "mcp_tool_use", "id": 1, "name": "f"},
        {"type": "mcp_tool_use", "id": "a", "name": "f", "input": []},
        {"type": "mcp_tool_result", "content": "x"},
    ],
)
def test_blocks_that_are_none_are_refused(block: Any) -> None:
    said = {"role": "assistant", "content": [block]}
    with pytest.raises(BadRequest):
        messages_of(ANTHROPIC, messages=[said])


@given(host_rounds())
def test_whatever_was_told_is_understood_when_it_comes_back(
    events: list[Event],
) -> None:
    user = {"role": "user", "content": "x"}
    calls = [event for event in events if isinstance(event, HostCall)]
    content = whole(ANTHROPIC, events)["content"]
    said = [user, {"role": "assistant", "content": content}, user]
    output = whole(RESPONSES, events)["output"]
    for found in (
        messages_of(ANTHROPIC, messages=said),
        messages_of(RESPONSES, input=[user, *output, user]),
    ):
        parts = [part for message in found for part in message.parts]
        hosted = [p for p in parts if isinstance(p, ToolCall)][: len(calls)]
        assert [p.name for p in hosted] == [call.name for call in calls]
        results = [p.call_id for p in parts if isinstance(p, ToolResult)]
        assert sorted(results) == sorted(call.id for call in hosted)
        # and any provider can be asked with that
        request = evolve(Request("m", found), max_tokens=9)
        for dialect in (OPENAI_CHAT, RESPONSES, ANTHROPIC, GEMINI, OLLAMA):
            assert dialect.encode_request(request).body
