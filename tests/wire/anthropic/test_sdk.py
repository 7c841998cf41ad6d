"""The official SDK reads what we write; it is given bytes, not a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
import pytest

from modelplex.errors import UpstreamOverloaded
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
    gather,
)
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering

ANSWERING = Answering("claude-x", 0)
EVENTS: list[Event] = [
    Started("msg_1", "other"),
    ThinkingDelta("Let me"),
    ThinkingDelta(" look."),
    ThinkingSigned("sig"),
    TextDelta("Größe"),
    TextDelta("\u2028?"),
    ToolCallStarted(0, "a", "f"),
    ToolCallStarted(1, "b", "g"),
    ToolCallDelta(1, '{"y":'),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(0, "1}"),
    ToolCallDelta(1, "[2]}"),
    ThinkingDelta("unsigned"),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(Usage(125, 90, 100, 20, 40)),
]


def client(status: int, body: bytes, kind: str) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": kind, "request-id": "req_1"}
        return httpx2.Response(status, content=body, headers=headers)

    return anthropic.Anthropic(
        api_key="k",
        base_url="http://modelplex",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def stream(events: Sequence[Event], end: bytes | None = None) -> anthropic.Anthropic:
    encoder = ANTHROPIC.encoder(ANSWERING)
    body = ANTHROPIC.keepalive + b"".join(map(encoder.encode, events))
    body += encoder.end() if end is None else end
    return client(200, body, "text/event-stream")


ASK: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


def check(message: Any) -> None:
    thought, text, first, second, unsigned = message.content
    assert (thought.thinking, thought.signature) == ("Let me look.", "sig")
    assert text.text == "Größe\u2028?"
    assert (first.id, first.name, first.input) == ("a", "f", {"x": 1})
    assert (second.id, second.name, second.input) == ("b", "g", {"y": [2]})
    assert unsigned.signature.startswith("modelplex:")
    assert (message.model, message.stop_reason) == ("claude-x", "tool_use")
    assert message.usage.input_tokens == 5
    assert message.usage.output_tokens == 90
    assert message.usage.cache_read_input_tokens == 100
    assert message.usage.cache_creation_input_tokens == 20
    assert message.usage.output_tokens_details.thinking_tokens == 40


def test_the_sdk_puts_a_stream_together() -> None:
    with stream(EVENTS).messages.stream(**ASK) as reading:
        check(reading.get_final_message())


def test_the_sdk_reads_a_whole_reply() -> None:
    body = ANTHROPIC.encode_reply(gather(EVENTS), ANSWERING)
    check(client(200, body, "application/json").messages.create(**ASK))


def test_the_sdk_sees_a_broken_stream_fail() -> None:
    encoder = ANTHROPIC.encoder(ANSWERING)
    broken = encoder.fail(UpstreamOverloaded("busy", status=529))
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        stream(EVENTS[:5], broken).messages.stream(**ASK) as reading,
    ):
        reading.get_final_message()
    assert caught.value.type == "overloaded_error"


def test_the_sdk_knows_our_errors_by_their_class() -> None:
    error = UpstreamOverloaded("busy", status=529)
    status, body = ANTHROPIC.encode_error(error, "req_1")
    with pytest.raises(anthropic.APIStatusError) as caught:
        client(status, body, "application/json").messages.create(**ASK)
    assert caught.value.status_code == 529
    assert caught.value.type == "overloaded_error"
