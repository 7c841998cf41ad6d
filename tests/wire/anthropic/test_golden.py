from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from modelplex.errors import UpstreamRejected
from modelplex.events import (
    CacheMark,
    Choose,
    Document,
    Event,
    Finished,
    FinishReason,
    Image,
    Inline,
    JsonSchema,
    Message,
    RedactedThinking,
    Reply,
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
    Usage,
    gather,
)
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object

GOLDEN = Path(__file__).parents[1] / "golden" / "anthropic"

LOOK_UP = '{"word":"größe","deep":{"n":[1,2.5,null]}}'
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
ANSWER = {**SCHEMA, "properties": {"a": {"type": "integer"}}, "required": ["a"]}

REQUEST = Request(
    model="claude-sonnet-4-5",
    messages=(
        Message(Role.SYSTEM, (Text("Be brief.", CacheMark("1h")),)),
        Message(
            Role.USER,
            (
                Text("What is in these?"),
                Image(Inline("image/png", "iVBORw0KGgo=")),
                Image(Url("https://example.org/a.png")),
                Document(
                    Inline("application/pdf", "JVBERi0="), "a.pdf", "the contract"
                ),
                Document(
                    Inline("text/plain", base64.b64encode("größe".encode()).decode())
                ),
            ),
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("Let me look.", "c2lnbmVk"),
                RedactedThinking("b3BhcXVl"),
                Text("I will look both up."),
                ToolCall("toolu_1", "look_up", LOOK_UP),
                ToolCall("toolu_2", "look_up", "{}"),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("toolu_2", (Text("no such word"),), is_error=True),
                ToolResult(
                    "toolu_1", (Text("size"), Image(Inline("image/jpeg", "/9j/")))
                ),
            ),
        ),
        Message(Role.USER, (Text("And now?", CacheMark()),)),
    ),
    stream=True,
    max_tokens=4096,
    stop=("END", "\n\nHuman:"),
    tools=(
        Tool("look_up", "Looks a word up.", SCHEMA, True, cache=CacheMark("1h")),
        Tool("now", schema={"type": "object", "properties": {}}),
    ),
    tool_choice=ToolChoice(Choose.AUTO),
    parallel_tool_calls=False,
    response_format=JsonSchema(ANSWER, strict=True),
    thinking=ThinkingControl(mode="enabled", budget=2048, display="summarized"),
    user="u-1",
    cache=CacheMark("5m"),
)

CITATION = {
    "type": "char_location",
    "cited_text": "size",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 4,
}
REPLY = Reply(
    id="msg_01",
    model="claude-sonnet-4-5",
    parts=(
        Thinking("Let me look.", "c2lnbmVk"),
        RedactedThinking("b3BhcXVl"),
        Text("Größe means size.", citations=(CITATION,)),
        ToolCall("toolu_1", "look_up", LOOK_UP),
        ToolCall("toolu_2", "now", "{}"),
    ),
    finish=Finished(FinishReason.TOOL_CALLS),
    usage=Usage(125, 90, 100, 20, 40),
)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_the_request_is_read() -> None:
    assert ANTHROPIC.decode_request(open_object(golden("request.json"))) == REQUEST


def test_the_request_is_written() -> None:
    encoded = ANTHROPIC.encode_request(REQUEST)
    assert json.loads(encoded.body) == json.loads(golden("request.json"))
    assert encoded.dropped == ()


def test_the_reply_is_read() -> None:
    assert ANTHROPIC.decode_reply(golden("reply.json")) == REPLY


def test_the_reply_is_written() -> None:
    written = ANTHROPIC.encode_reply(REPLY, Answering(REPLY.model, 0))
    assert json.loads(written) == json.loads(golden("reply.json"))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_the_stream_is_read(line_end: bytes) -> None:
    decoder = ANTHROPIC.decoder()
    events: list[Event] = decoder.feed(golden("stream.sse").replace(b"\n", line_end))
    assert gather(events + decoder.eof()) == REPLY


def test_the_error_is_read() -> None:
    body = golden("error.json")
    error = ANTHROPIC.decode_error(400, body)
    assert type(error) is UpstreamRejected
    assert error.message == "prompt is too long: 210000 tokens > 200000 maximum"
    assert error.code == "context_length_exceeded"
    assert error.body == body


def test_the_error_is_written_as_it_came() -> None:
    body = golden("error.json")
    error = ANTHROPIC.decode_error(400, body)
    assert ANTHROPIC.encode_error(error, "ours") == (400, body)
