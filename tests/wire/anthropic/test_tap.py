"""Messages that pass through, and what is learnt from them on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.events import Usage
from modelplex.testing.oracle_anthropic import frames, read_message
from modelplex.testing.strategies import json_values
from modelplex.wire.anthropic.errors import decode_error
from modelplex.wire.anthropic.tap import AnthropicTap, whole_tap
from modelplex.wire.tap import WholeTap

GOLDEN = Path(__file__).parents[1] / "golden" / "anthropic"
STREAM = (GOLDEN / "stream.sse").read_bytes()
REPLY = (GOLDEN / "reply.json").read_bytes()
BUSY = {"type": "overloaded_error", "message": "busy"}
LIMITED = {"type": "rate_limit_error", "message": "slow down"}


def tap(noted: list[str] | None = None) -> AnthropicTap:
    return AnthropicTap(decode_error, None if noted is None else noted.append)


def event(kind: str, **members: Any) -> bytes:
    payload = msgspec.json.encode({"type": kind} | members)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), payload)


def delta(kind: str, **members: Any) -> bytes:
    said = {"type": kind} | members
    return event("content_block_delta", index=0, delta=said)


def block(kind: str, **members: Any) -> bytes:
    said = {"type": kind} | members
    return event("content_block_start", index=0, content_block=said)


START = event("message_start", message={"id": "msg_1", "usage": {"input_tokens": 5}})
HI = delta("text_delta", text="Hi")
STOP = event("message_stop")


def closing(reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_passes_as_it_came(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    reader = tap()
    assert reader.feed(stream) + reader.eof() == stream
    assert reader.done and reader.usage == Usage(125, 90, 100, 20, 40)
    assert reader.finish == "tool_use"


@pytest.mark.parametrize(
    ("said", "meaningful"),
    [
        (START, False),
        (event("ping"), False),
        (block("text", text=""), False),
        (block("thinking", thinking="", signature=""), False),
        (event("content_block_start", index=0), False),
        (delta("text_delta", text=""), False),
        (delta("input_json_delta", partial_json=""), False),
        (event("content_block_stop", index=0), False),
        (closing(None), False),
        (event("a_new_one", x=1), False),
        (HI, True),
        (delta("thinking_delta", thinking="hm"), True),
        (delta("signature_delta", signature="s"), True),
        (delta("input_json_delta", partial_json="{"), True),
        (delta("citations_delta", citation={}), True),
        (delta("a_new_delta"), True),
        (delta("text_delta", text=["odd"]), True),
        (block("text", text="Hi"), True),
        (block("tool_use", id="toolu_1", name="f", input={}), True),
        (block("redacted_thinking", data="x"), True),
        (block("server_tool_use", id="s", name="web_search", input={}), True),
        (closing("refusal"), True),
        (STOP, True),
    ],
)
def test_an_answer_begins_with_what_says_something(
    said: bytes, meaningful: bool
) -> None:
    reader = tap()
    assert reader.feed(said) == said
    assert reader.meaningful is meaningful


def test_counts_are_of_the_whole_message_so_far_and_replace_earlier_ones() -> None:
    reader = tap()
    reader.feed(START)
    assert reader.usage == Usage(5)
    reader.feed(HI + closing(None, output_tokens=1))
    assert reader.usage == Usage(5, 1)
    reader.feed(closing(input_tokens=7, output_tokens=9, cache_read_input_tokens=2))
    assert reader.usage == Usage(9, 9, 2)
    reader.feed(closing(output_tokens="many"))
    assert reader.usage == Usage(9, 9, 2)
    assert reader.finish == "end_turn" and not reader.done


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (event("error", error=BUSY), UpstreamOverloaded),
        (event("error", error=LIMITED, request_id="r"), UpstreamRateLimited),
        (event("error", error="odd"), GatewayError),
        (event("error"), GatewayError),
        (b'data: {"error":{"type":"overloaded_error"}}\n\n', UpstreamOverloaded),
        (b'{"type":"error","error":{"type":"overloaded_error"}}', UpstreamOverloaded),
        (b'data: {"type":"error","error":{"message":"\xff"}}\n\n', GatewayError),
        (b"data: {\n\n", UpstreamMalformed),
        (b"data: [DONE]\n\n", UpstreamCut),
        (b"", UpstreamCut),
    ],
)
def test_an_error_is_read_and_not_passed(said: bytes, kind: type[GatewayError]) -> None:
    reader = tap()
    assert reader.feed(START + said) + reader.eof() == START
    assert isinstance(reader.error, kind)
    assert not reader.meaningful
    assert reader.feed(HI) == reader.eof() == b""


def test_a_finish_without_its_last_event_is_a_cut() -> None:
    reader = tap()
    reader.feed(START + HI + closing())
    reader.eof()
    assert type(reader.error) is UpstreamCut
    *_, last = frames(START + HI + closing() + reader.fail(reader.error))
    assert last["type"] == "error" and last["error"]["type"] == "api_error"


def test_the_last_empty_line_may_be_missing() -> None:
    reader = tap()
    wire = START + HI + closing() + STOP
    assert reader.feed(wire[:-1]) + reader.eof() == wire
    assert reader.done and reader.error is None


def test_comments_pass_and_what_is_not_known_passes() -> None:
    reader = tap()
    odd = b'data: {"type":1}\n\ndata: [1]\n\n: ping\n\nid: 7\n' + event("new", delta=3)
    start = event("message_start", message=7) + event("message_delta", delta=7)
    assert reader.feed(odd + start) == odd + start
    assert reader.feed(b"event: ping\n\ndata:\n\n") == b""
    assert reader.error is None and reader.usage is None


def test_proofs_are_noted_as_they_are_written() -> None:
    noted: list[str] = []
    text = delta("text_delta", text='the "signature" of "redacted_thinking"')
    reader = tap(noted)
    reader.feed(START + text + delta("signature_delta", signature="c2ln"))
    reader.feed(block("redacted_thinking", data="b3BhcXVl"))
    reader.feed(block("thinking", thinking="x", signature="early"))
    reader.feed(block("new", signature=7))
    assert noted == ["c2ln", "b3BhcXVl", "early"]


def test_a_stream_that_passed_is_a_message() -> None:
    wire = START + block("text", text="") + HI + event("content_block_stop", index=0)
    usage = {"input_tokens": 1, "output_tokens": 1}
    first: dict[str, Any] = {
        "id": "msg_1",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
    }
    start = event("message_start", message={**first, "usage": usage})
    wire = wire.replace(START, start) + closing(output_tokens=2) + STOP
    reader = tap()
    passed = reader.feed(wire)
    assert read_message(passed)["content"] == [{"type": "text", "text": "Hi"}]


@given(st.lists(json_values(), max_size=4))
def test_any_json_is_passed_or_an_error(payloads: list[Any]) -> None:
    kinds = ("message_start", "content_block_start", "content_block_delta", "error")
    for kind in (*kinds, "message_delta", "x"):
        reader = tap([])
        for value in payloads:
            said = event(kind, message=value, delta=value, content_block=value)
            assert reader.feed(said) in (said, b"")
        reader.eof()
        assert reader.error is not None


# --- whole replies ----------------------------------------------------------


def whole(body: bytes, noted: list[str] | None = None) -> tuple[bytes, WholeTap]:
    reader = whole_tap(decode_error, 5000, None if noted is None else noted.append)
    assert reader.feed(body) == b""
    return reader.eof(), reader


def test_a_whole_message_passes_as_it_came() -> None:
    noted: list[str] = []
    passed, reader = whole(REPLY, noted)
    assert passed == REPLY
    assert (reader.usage, reader.finish) == (Usage(125, 90, 100, 20, 40), "tool_use")
    assert noted == ["c2lnbmVk", "b3BhcXVl"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"input_tokens":7}',
        b'{"type":"message","usage":"none","content":7,"signature":1}',
        b'{"type":7,"content":[{"type":"thinking","signature":3}]}',
        b'{"content":[7,{"signature":"s"}]}',
    ],
)
def test_what_is_not_known_passes_whole(body: bytes) -> None:
    passed, reader = whole(body, [])
    assert (passed, reader.error, reader.usage) == (body, None, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ((GOLDEN / "error.json").read_bytes(), GatewayError),
        (msgspec.json.encode({"type": "error", "error": BUSY}), UpstreamOverloaded),
        (msgspec.json.encode({"error": LIMITED}), UpstreamRateLimited),
        (b'{"error":{"type":"invalid_request_error"}}', UpstreamRejected),
        (b'{"type":"message","content":[', UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b"<html>", UpstreamMalformed),
        (b'{"type":"\xff"}', UpstreamMalformed),
        (b"{}" + b" " * 5000, UpstreamMalformed),
        (b"", UpstreamMalformed),
    ],
)
def test_what_is_no_message_is_an_error(body: bytes, kind: type[GatewayError]) -> None:
    passed, reader = whole(body)
    assert passed == b""
    assert isinstance(reader.error, kind)
