"""Responses that pass through, and what is learnt from them on the way."""

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
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.events import Usage
from modelplex.testing.oracle_responses import accumulate
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.dialect import Answering
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.errors import decode_error
from modelplex.wire.responses.tap import ResponsesTap, whole_response_tap
from modelplex.wire.tap import WholeTap

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"
STREAM = (GOLDEN / "stream.sse").read_bytes()
REPLY = (GOLDEN / "reply.json").read_bytes()
LIMITED = {"code": "rate_limit_exceeded", "message": "Please try again in 2s."}


def tap() -> ResponsesTap:
    return ResponsesTap(RESPONSES.decode_error)


def whole(limit: int = 10_000) -> WholeTap:
    return whole_response_tap(RESPONSES.decode_error, limit)


def event(kind: str, **members: Any) -> bytes:
    payload = msgspec.json.encode({"type": kind} | members)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), payload)


CREATED = event(
    "response.created", sequence_number=0, response={"id": "resp_1", "error": None}
)
DELTA = event("response.output_text.delta", sequence_number=4, delta="Hi")


def ended(status: str, **members: Any) -> bytes:
    response = {"id": "resp_1", "status": status} | members
    return event(f"response.{status}", sequence_number=9, response=response)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_passes_as_it_came(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    reader = tap()
    assert reader.feed(stream) + reader.eof() == stream
    assert reader.done and reader.meaningful and reader.error is None
    assert reader.usage == Usage(125, 90, 100, 20, 40)
    assert reader.finish == "completed"
    assert reader.response_id == "resp_68ab"
    assert msgspec.json.decode(reader.response) == msgspec.json.decode(REPLY)


@given(st.data())
def test_chunking_never_matters(data: st.DataObject) -> None:
    reader = tap()
    passed = b"".join(map(reader.feed, data.draw(chopped(STREAM))))
    assert passed + reader.eof() == STREAM
    assert reader.usage == Usage(125, 90, 100, 20, 40)


def test_comments_pass_and_empty_events_do_not() -> None:
    reader = tap()
    assert reader.feed(b": waiting\n\n") == b": waiting\n\n"
    assert reader.feed(b"event: x\n\ndata:\n\n" + DELTA) == DELTA


def test_what_is_not_known_passes() -> None:
    reader = tap()
    new = event("response.new", item=1, response=2, sequence_number=1)
    odd = b'data: {"type":1,"error":null}\n\ndata: [1]\n\n'
    assert reader.feed(new + odd) == new + odd
    assert reader.error is None


@pytest.mark.parametrize(
    ("said", "meaningful"),
    [
        (CREATED, False),
        (event("response.in_progress", response=1), False),
        (event("response.output_item.added", item={"type": "message"}), False),
        (event("response.output_item.added", item={"type": "reasoning"}), False),
        (event("response.output_item.added", item={"type": "function_call"}), False),
        (event("response.output_item.added", item=1), False),
        (event("response.content_part.added", part={}), False),
        (event("response.output_text.delta", delta=""), False),
        (event("keepalive"), False),
        (DELTA, True),
        (event("response.reasoning_summary_text.delta", delta="x"), True),
        (event("response.function_call_arguments.delta", delta="{"), True),
        (event("response.output_item.done", item={"type": "reasoning"}), True),
        (event("response.output_item.added", item={"type": "web_search_call"}), True),
        (ended("completed"), True),
        (ended("incomplete"), True),
    ],
)
def test_an_answer_begins_with_what_says_something(
    said: bytes, meaningful: bool
) -> None:
    reader = tap()
    assert reader.feed(said) == said
    assert reader.meaningful is meaningful


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (ended("failed", error=LIMITED), UpstreamRateLimited),
        (event("error", **LIMITED), UpstreamRateLimited),
        (event("error", error=LIMITED), UpstreamRateLimited),
        (event("error", code="invalid_prompt", message="x"), UpstreamRejected),
        (ended("failed"), UpstreamOverloaded),
        (ended("cancelled"), UpstreamError),
        (b'data: {"error":{"code":"server_error"}}\n\n', UpstreamOverloaded),
        (b'{"error":{"code":"server_error"}}\n\n', UpstreamOverloaded),
        (b"data: {\n\n", UpstreamMalformed),
        (b"data: [DONE]\n\n", UpstreamCut),
    ],
)
def test_an_error_before_the_answer_lets_another_be_asked(
    said: bytes, kind: type[GatewayError]
) -> None:
    reader = tap()
    assert reader.feed(CREATED + said + DELTA) == CREATED
    assert type(reader.error) is kind
    assert not reader.meaningful
    assert reader.feed(DELTA) == reader.eof() == b""


def test_an_error_in_the_middle_tells_where_the_stream_stood() -> None:
    reader = tap()
    assert reader.feed(CREATED + DELTA + ended("failed", error=LIMITED))
    assert reader.meaningful and reader.error is not None
    assert reader.error.retry_after == 2
    assert reader.response_id == "resp_1"


def test_the_number_of_the_last_event_that_passed_is_known() -> None:
    reader = tap()
    reader.feed(CREATED + DELTA + DELTA[:20])
    reader.eof()
    assert type(reader.error) is UpstreamCut
    assert (reader.response_id, reader.sequence) == ("resp_1", 4)


SLOW = UpstreamRateLimited("slow down", retry_after=2)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        ended("failed", error=LIMITED),
        event("error", sequence_number=2),
        b"data: {",
    ],
)
def test_an_error_of_ours_has_the_ids_and_the_next_number(broken: bytes) -> None:
    response = {"id": "resp_1", "status": "in_progress", "output": []}
    about = {"model": "gpt-5-2025", "created_at": 17.0}
    begun = [
        event(kind, sequence_number=n, response=response | about)
        for n, kind in enumerate(("response.created", "response.in_progress"))
    ]
    reader = tap()
    passed = reader.feed(b"".join(begun) + broken) + reader.eof()
    assert passed == b"".join(begun)
    assert reader.error is not None
    told = accumulate(passed + reader.fail(SLOW))
    assert told["status"] == "failed" and told["id"] == "resp_1"
    assert (told["model"], told["created_at"]) == ("gpt-5-2025", 17)
    assert told["error"]["code"] == "rate_limit_exceeded"
    assert "try again in 2s" in told["error"]["message"]


def test_an_error_in_place_of_a_stream_is_a_stream_of_its_own() -> None:
    answering = Answering("asked-for", 17, id="own")
    told = accumulate(ResponsesTap(decode_error, answering=answering).fail(SLOW))
    assert (told["id"], told["model"]) == ("resp_own", "asked-for")
    assert accumulate(tap().fail(SLOW))["status"] == "failed"


def test_proofs_are_noted_as_they_are_written() -> None:
    noted: list[str] = []
    reader = ResponsesTap(decode_error, noted.append)
    item = {"type": "reasoning", "encrypted_content": "gAAAA"}
    text = event("response.output_text.delta", delta='"encrypted_content"')
    odd = event("response.output_item.done", item={"encrypted_content": 7})
    reader.feed(text + odd + event("response.output_item.done", item=item))
    reader.feed(event("response.output_item.done", item=item | {"type": "compaction"}))
    reader.feed(ended("completed", output=[item, {"type": "message"}]))
    assert reader.done
    assert noted == ["gAAAA"] * 3


def test_an_id_that_would_stick_does_not_pass() -> None:
    reader = tap()
    assert reader.feed(b"id: 7\n" + CREATED) == CREATED


@pytest.mark.parametrize("missing", [1, 2])
def test_the_last_line_end_may_be_missing(missing: int) -> None:
    reader = tap()
    stream = CREATED + DELTA + ended("completed")
    passed = reader.feed(stream[:-missing])
    assert passed + reader.eof() == stream[:-missing] + b"\n" * missing
    assert reader.done and reader.error is None


def test_an_incomplete_response_says_why() -> None:
    reader = tap()
    reader.feed(ended("incomplete", incomplete_details={"reason": "content_filter"}))
    assert reader.finish == "content_filter"


@given(st.lists(st.binary(max_size=30) | st.sampled_from([DELTA, CREATED, b"\n\n"])))
def test_any_bytes_are_passed_or_an_error(chunks: list[bytes]) -> None:
    reader = tap()
    for chunk in chunks:
        reader.feed(chunk)
    reader.eof()
    assert reader.error is not None


@given(st.lists(json_values(), max_size=4))
def test_any_json_is_passed_or_an_error(payloads: list[Any]) -> None:
    for kind in ("response.created", "response.completed", "error", "x.delta"):
        reader = tap()
        for value in payloads:
            reader.feed(event(kind, response=value, error=value, item=value))
        reader.eof()
        assert reader.done or reader.error is not None


def test_an_event_is_bounded() -> None:
    reader = tap()
    reader.feed(b"data: " + b"x" * (16 * 2**20 + 1))
    assert type(reader.error) is UpstreamMalformed


def test_an_end_that_cannot_be_read_is_still_the_end() -> None:
    reader = tap()
    end = event("response.completed", response=[1])
    assert reader.feed(CREATED + end) == CREATED + end
    assert reader.done and reader.usage is None


def test_a_whole_response_that_is_too_long_is_forgotten() -> None:
    reader = whole(limit=10)
    assert reader.feed(b"x" * 11) == reader.feed(b"x") == reader.eof() == b""


@pytest.mark.parametrize("depth", [*range(100, 1100, 25), 100_000])
@pytest.mark.parametrize("kind", ["error", "response.failed", "response.completed"])
def test_depth_is_no_way_to_break_a_reader(kind: str, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    members = b'"error":%b,"response":{"error":%b,"usage":%b}' % (deep, deep, deep)
    said = b'data: {"type":"%b",%b}\n\n' % (kind.encode(), members)
    reader = tap()
    assert reader.feed(said) in (b"", said)
    assert reader.error is not None or reader.done
    decoder = RESPONSES.decoder()
    assert decoder.feed(said)
    assert decoder.done


def test_a_whole_response_passes_as_it_came() -> None:
    reader = whole()
    assert reader.feed(REPLY[:100]) == reader.feed(REPLY[100:]) == b""
    assert reader.eof() == REPLY == reader.body
    assert reader.usage == Usage(125, 90, 100, 20, 40)
    assert reader.finish == "completed" and reader.done


def test_proofs_in_a_whole_response_are_noted() -> None:
    noted: list[str] = []
    reader = whole_response_tap(decode_error, 10_000, noted.append)
    reader.feed(REPLY)
    assert reader.eof() == REPLY
    assert noted == ["gAAAAABo", "gAAAAABp"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b"{", UpstreamMalformed),
        (b"x" * 10_001, UpstreamMalformed),
        (msgspec.json.encode({"error": LIMITED}), UpstreamRateLimited),
        (
            msgspec.json.encode({"status": "failed", "error": LIMITED}),
            UpstreamRateLimited,
        ),
    ],
)
def test_what_is_no_whole_response_is_an_error(
    body: bytes, kind: type[GatewayError]
) -> None:
    reader = whole()
    reader.feed(body)
    assert reader.eof() == b""
    assert type(reader.error) is kind


def test_a_whole_response_of_a_shape_not_known_passes() -> None:
    body = b'{"status":1,"usage":"none"}'
    reader = whole()
    reader.feed(body)
    assert reader.eof() == body
