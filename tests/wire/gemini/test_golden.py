from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from modelplex.errors import UpstreamRateLimited
from modelplex.events import (
    Audio,
    Choose,
    Document,
    Event,
    Finished,
    FinishReason,
    Image,
    Inline,
    JsonSchema,
    Message,
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
from modelplex.testing.oracle_gemini import check_request
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object

GOLDEN = Path(__file__).parents[1] / "golden" / "gemini"

LOOK_UP = '{"word":"größe","deep":{"n":[1,2.5,null]}}'
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
}
ANSWER = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
}

REQUEST = Request(
    model="gemini-3-flash",
    messages=(
        Message(Role.SYSTEM, (Text("Be brief."), Text("Be kind."))),
        Message(
            Role.USER,
            (
                Text("What is in these?"),
                Image(Inline("image/png", "iVBORw0KGgo=")),
                Audio("UklGRg==", "wav"),
                Document(Inline("application/pdf", "JVBERi0=")),
                Image(Url("https://example.org/a.png")),
            ),
        ),
        Message(
            Role.ASSISTANT,
            (
                Thinking("Let me look.", "gemini:dGhvdWdodA=="),
                Text("I will look both up."),
                Thinking("", "gemini:text:dGV4dA=="),
                Thinking("", "gemini:call0:Y2FsbA=="),
                ToolCall("c1", "look_up", LOOK_UP),
                ToolCall("c2", "look_up", "{}"),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("c1", (Text("size"), Image(Inline("image/jpeg", "/9j/")))),
                ToolResult("c2", (Text("no such word"),), is_error=True),
            ),
        ),
        Message(Role.USER, (Text("And now?"),)),
    ),
    max_tokens=4096,
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    stop=("END", "\n\nHuman:"),
    seed=1,
    presence_penalty=0.25,
    frequency_penalty=-0.5,
    logprobs=5,
    tools=(Tool("look_up", "Looks a word up.", SCHEMA), Tool("now")),
    tool_choice=ToolChoice(Choose.REQUIRED, ("look_up",)),
    response_format=JsonSchema(ANSWER),
    thinking=ThinkingControl("low", display="summarized"),
)

TOKEN = {
    "token": "Größe",
    "logprob": -0.5,
    "bytes": list("Größe".encode()),
}
REPLY = Reply(
    id="r1",
    model="gemini-3-flash",
    parts=(
        Thinking("Let me look.", "gemini:dGhvdWdodA=="),
        Text("Größe means size."),
        Thinking("", "gemini:call0:Y2FsbA=="),
        ToolCall("c1", "look_up", LOOK_UP),
        ToolCall("c2", "now", "{}"),
    ),
    finish=Finished(FinishReason.TOOL_CALLS),
    usage=Usage(125, 90, 100, 0, 40),
    logprobs=({**TOKEN, "top_logprobs": [TOKEN]},),
)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_the_request_is_read() -> None:
    request = GEMINI.decode_request(open_object(golden("request.json")))
    assert request == evolve(REQUEST, model="")


def test_the_request_in_the_other_spelling_is_the_same_but_for_what_is_lost() -> None:
    request = GEMINI.decode_request(open_object(golden("request_snake.json")))
    assert evolve(request, extra={}) == REQUEST
    assert set(request.extra) == {
        "tools[googleSearch]",
        "tools[urlContext]",
        "tools[codeExecution]",
        "safetySettings",
        "serviceTier",
        "labels",
        "store",
        "generation_config.media_resolution",
    }
    assert GEMINI.encode_request(request).dropped == tuple(request.extra)


def test_the_request_is_written() -> None:
    encoded = GEMINI.encode_request(REQUEST)
    written = json.loads(encoded.body)
    check_request(written)
    assert written == json.loads(golden("request.json"))
    assert encoded.dropped == ()


def test_the_reply_is_read() -> None:
    assert GEMINI.decode_reply(golden("reply.json")) == REPLY


def test_the_reply_is_written() -> None:
    written = GEMINI.encode_reply(REPLY, Answering(REPLY.model, 0))
    assert json.loads(written) == json.loads(golden("reply_out.json"))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_the_stream_is_read(line_end: bytes) -> None:
    decoder = GEMINI.decoder()
    stream = golden("stream.sse").replace(b"\r\n", line_end)
    events: list[Event] = decoder.feed(stream)
    assert gather(events + decoder.eof()) == REPLY


def test_the_stream_without_events_is_read() -> None:
    decoder = GEMINI.decoder()
    events: list[Event] = decoder.feed(golden("stream.json"))
    assert gather(events + decoder.eof()) == REPLY


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_error_is_read(wrapped: bool) -> None:
    body = golden("error.json")
    error = GEMINI.decode_error(429, b"[" + body + b"]" if wrapped else body)
    assert type(error) is UpstreamRateLimited
    assert error.retry_after == 36.5
    assert error.message.startswith("You exceeded your current quota")


def test_the_error_is_written() -> None:
    error: Any = GEMINI.decode_error(429, golden("error.json"))
    status, body = GEMINI.encode_error(error, "ours")
    told = json.loads(body)["error"]
    assert (status, told["status"]) == (429, "RESOURCE_EXHAUSTED")
    (retry,) = [d for d in told["details"] if "retryDelay" in d]
    assert retry["retryDelay"] == "36.5s"
