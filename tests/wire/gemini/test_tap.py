"""Gemini's replies that pass through, and what is learnt from them on the way."""

from __future__ import annotations

import json
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
    UpstreamRateLimited,
    UpstreamTimeout,
)
from modelplex.events import Usage
from modelplex.testing.oracle_gemini import frames, items
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.tap import GeminiTap, array_tap, whole_tap
from modelplex.wire.tap import WholeTap

GOLDEN = Path(__file__).parents[1] / "golden" / "gemini"
STREAM = (GOLDEN / "stream.sse").read_bytes()
REPLY = (GOLDEN / "reply.json").read_bytes()
ERROR = (GOLDEN / "error.json").read_bytes()
COUNTED = Usage(125, 90, 100, 0, 40)
BROKE = UpstreamTimeout("silence")


def tap(noted: list[str] | None = None) -> GeminiTap:
    return GeminiTap(decode_error, None if noted is None else noted.append)


def chunk(*parts: Any, reason: str | None = None, **members: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if reason is not None:
        candidate["finishReason"] = reason
    return msgspec.json.encode({"candidates": [candidate], **members})


def event(payload: bytes) -> bytes:
    return b"data: " + payload + b"\r\n\r\n"


HI = chunk({"text": "Hi"})
END = chunk({"text": ""}, reason="STOP")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_passes_as_it_came(line_end: bytes) -> None:
    stream = STREAM.replace(b"\r\n", line_end)
    reader = tap()
    assert reader.feed(stream) == stream
    assert not reader.done
    assert reader.eof() == b""
    assert reader.done and reader.usage == COUNTED and reader.finish == "STOP"


@given(st.data())
def test_an_array_has_the_chunks_as_they_came(data: st.DataObject) -> None:
    reader = array_tap(decode_error)
    passed = b"".join(map(reader.feed, data.draw(chopped(STREAM)))) + reader.eof()
    assert items(passed) == frames(STREAM)
    assert json.loads(passed) == json.loads((GOLDEN / "stream.json").read_bytes())
    assert reader.done and reader.usage == COUNTED


@pytest.mark.parametrize("passed", range(4))
def test_an_array_that_breaks_ends_with_the_error(passed: int) -> None:
    reader = array_tap(decode_error)
    told = reader.feed(event(HI) * passed + b"data: {") + reader.eof()
    assert type(reader.error) is UpstreamCut
    *before, last = items(told + reader.fail(BROKE))
    assert before == [json.loads(HI)] * passed
    assert last["error"]["code"] == 504 and last["error"]["message"] == "silence"


@pytest.mark.parametrize(
    ("said", "meaningful"),
    [
        (b"{}", False),
        (chunk(), False),
        (chunk({"text": ""}), False),
        (chunk({"text": "", "thought": True, "thoughtSignature": "c2ln"}), False),
        (b'{"candidates":[{}]}', False),
        (b'{"candidates":[{"content":{}}]}', False),
        (b'{"usageMetadata":{"promptTokenCount":1},"responseId":"r"}', False),
        (chunk(reason="FINISH_REASON_UNSPECIFIED"), False),
        (b'{"promptFeedback":{}}', False),
        (HI, True),
        (chunk({"text": "hm", "thought": True}), True),
        (chunk({"functionCall": {"name": "f"}}), True),
        (chunk({"executableCode": {"code": "1"}}), True),
        (chunk(reason="STOP"), True),
        (b'{"promptFeedback":{"blockReason":"SAFETY"}}', True),
    ],
)
def test_an_answer_begins_with_what_says_something(
    said: bytes, meaningful: bool
) -> None:
    reader = tap()
    assert reader.feed(event(said)) == event(said)
    assert reader.meaningful is meaningful


def test_a_prompt_that_is_blocked_is_an_answer() -> None:
    reader = tap()
    reader.feed(event(b'{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}'))
    reader.eof()
    assert reader.done and reader.error is None
    assert reader.finish == "PROHIBITED_CONTENT"


def test_the_last_counts_and_the_last_reason_are_those_of_the_reply() -> None:
    reader = tap()
    reader.feed(event(chunk(reason="STOP", usageMetadata={"promptTokenCount": 1})))
    late = chunk({"text": "more"}, usageMetadata={"candidatesTokenCount": 2})
    assert reader.feed(event(late)) == event(late), "what follows a reason passes"
    reader.feed(event(chunk(reason="MAX_TOKENS", usageMetadata="odd")))
    assert reader.eof() == b""
    assert (reader.usage, reader.finish) == (Usage(0, 2), "MAX_TOKENS")


@pytest.mark.parametrize(
    "wrong",
    [
        event(ERROR.replace(b"\n", b"")),
        event(b"[" + ERROR.replace(b"\n", b"") + b"]"),
        ERROR,
        b"[" + ERROR + b"]\n",
        ERROR + b"\n\n",
        event(b'{"candidates":7,"error":{"code":429}}'),
    ],
)
@pytest.mark.parametrize("before", [b"", event(HI)])
def test_an_error_is_read_wherever_it_stands(before: bytes, wrong: bytes) -> None:
    reader = tap()
    assert reader.feed(before + wrong) + reader.eof() == before
    assert isinstance(reader.error, UpstreamRateLimited)
    *_, last = frames(before + reader.fail(reader.error))
    assert last["error"]["code"] == 429


def test_what_googles_sdks_cannot_read_does_not_pass() -> None:
    reader = tap()
    hostile = b": waiting\n\nevent: x\n\ndata: [DONE]\n\ndata:\n\ndata:  \n\nid: 1\n\n"
    assert reader.feed(hostile) == b""
    # A line that does not begin with "data: " is JSON to the Python SDK.
    for wire in (
        b"event: x\r\ndata: " + HI + b"\r\n\r\n",
        b"data:" + HI + b"\n\n",
        b": x\ndata: " + HI + b"\nid: 7\n\n",
    ):
        assert reader.feed(wire) == event(HI)
    assert frames(reader.feed(b'data: {"a":\r\ndata: 1}\r\n\r\n')) == [{"a": 1}]
    assert reader.feed(b"\n\n") == b"\n\n", "an empty line keeps a stream alive"
    assert reader.error is None


def test_a_shape_that_is_not_known_passes() -> None:
    reader = tap()
    odd = event(b'{"candidates":7}') + event(b"[1]") + event(b"5")
    assert reader.feed(odd) == odd
    assert reader.error is None and not reader.meaningful


def test_thought_signatures_are_noted() -> None:
    noted: list[str] = []
    signed = {"text": 'a "thoughtSignature"', "thoughtSignature": "c2ln"}
    reader = tap(noted)
    reader.feed(event(chunk({"text": '"thoughtSignature"'}, signed)))
    reader.feed(event(chunk({"thoughtSignature": 7}, {"thoughtSignature": ""})))
    reader.feed(event(b'{"candidates":[{"content":7}],"x":{"thoughtSignature":1}}'))
    array_tap(decode_error, noted.append).feed(event(chunk(signed)))
    assert noted == ["c2ln", "c2ln"]


@given(st.lists(json_values(), max_size=4))
def test_any_json_is_passed_or_an_error(payloads: list[Any]) -> None:
    for key in ("candidates", "usageMetadata", "promptFeedback", "error"):
        noted: list[str] = []
        reader = array_tap(decode_error, noted.append)
        told = b""
        for value in payloads:
            told += reader.feed(event(msgspec.json.encode({key: value})))
        told += reader.eof()
        assert reader.error is not None
        items(told + reader.fail(reader.error))


# --- whole replies ----------------------------------------------------------


def whole(body: bytes, noted: list[str] | None = None) -> tuple[bytes, WholeTap]:
    reader = whole_tap(decode_error, 5000, None if noted is None else noted.append)
    assert reader.feed(body) == b""
    return reader.eof(), reader


def test_a_whole_reply_passes_as_it_came() -> None:
    noted: list[str] = []
    passed, reader = whole(REPLY, noted)
    assert passed == REPLY
    assert (reader.usage, reader.finish) == (COUNTED, "STOP")
    assert noted == ["dGhvdWdodA==", "Y2FsbA=="]


@pytest.mark.parametrize(
    "body",
    [
        b'{"totalTokens":7}',
        b'{"embedding":{"values":[1]}}',
        b'{"candidates":7,"thoughtSignature":1}',
        b'{"usageMetadata":[]}',
    ],
)
def test_what_is_not_known_passes_whole(body: bytes) -> None:
    passed, reader = whole(body, [])
    assert (passed, reader.error, reader.usage) == (body, None, None)


def test_a_whole_reply_to_a_blocked_prompt_says_why() -> None:
    _, reader = whole(b'{"promptFeedback":{"blockReason":"SAFETY"}}')
    assert reader.finish == "SAFETY" and reader.done


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (ERROR, UpstreamRateLimited),
        (b"[" + ERROR + b"]", UpstreamRateLimited),
        (b'{"candidates":7,"error":"odd"}', GatewayError),
        (b"[]", UpstreamMalformed),
        (b'{"candidates":[', UpstreamMalformed),
        (b"<html>", UpstreamMalformed),
        (b"{}" + b" " * 5000, UpstreamMalformed),
        (b"", UpstreamMalformed),
    ],
)
def test_what_is_no_reply_is_an_error(body: bytes, kind: type[GatewayError]) -> None:
    passed, reader = whole(body)
    assert passed == b""
    assert isinstance(reader.error, kind)
