"""Every dialect's reader of streams that pass through keeps the same promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamTimeout,
)
from modelplex.events import Usage
from modelplex.testing import (
    oracle_anthropic,
    oracle_gemini,
    oracle_openai,
    oracle_responses,
)
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.anthropic.tap import AnthropicTap
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.gemini.tap import GeminiTap, array_tap
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.ollama.tap import OllamaTap
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.openai.tap import StreamTap
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.tap import ResponsesTap
from modelplex.wire.tap import Noted, Tap

GOLDEN = Path(__file__).parent / "golden"
BROKE = UpstreamTimeout("up: nothing came for 60 seconds")


def _openai(stream: bytes) -> list[Any]:
    return [json.loads(p) for p in oracle_openai.payloads(stream + b"data: [DONE]\n\n")]


def _lines(stream: bytes) -> list[Any]:
    assert stream.endswith(b"\n")
    return [json.loads(line) for line in stream.split(b"\n")[:-1]]


def _message(told: Any) -> str:
    return str(told["error"]["message"])


@frozen
class Case:
    """
    A dialect, and a whole stream of its.

    :ivar passes: what of the stream reaches the guest.
    :ivar read: the payloads of a stream that was failed, by the strictest reader.
    :ivar said: the message in the last of them.
    """

    name: str
    tap: Callable[[Noted | None], Tap] = field(repr=False)
    stream: bytes = field(repr=False)
    usage: Usage
    finish: str
    proofs: tuple[str, ...]
    read: Callable[[bytes], list[Any]] = field(repr=False)
    said: Callable[[Any], str] = field(repr=False)
    passes: bytes | None = field(default=None, repr=False)


def stream_of(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


GEMINI_STREAM = stream_of("gemini/stream.sse")
ITEMS = [event[6:] for event in GEMINI_STREAM.split(b"\r\n\r\n")[:-1]]

CASES = [
    Case(
        "openai",
        lambda noted: StreamTap(OPENAI_CHAT.decode_error, False, noted),
        stream_of("openai/chat_stream.sse"),
        Usage(20, 9, 5, 3, 4),
        "tool_calls",
        ("c2ln", "b3BhcXVl"),
        _openai,
        _message,
    ),
    Case(
        "anthropic",
        lambda noted: AnthropicTap(ANTHROPIC.decode_error, noted),
        stream_of("anthropic/stream.sse"),
        Usage(125, 90, 100, 20, 40),
        "tool_use",
        ("c2lnbmVk", "b3BhcXVl"),
        oracle_anthropic.frames,
        _message,
    ),
    Case(
        "gemini",
        lambda noted: GeminiTap(GEMINI.decode_error, noted),
        GEMINI_STREAM,
        Usage(125, 90, 100, 0, 40),
        "STOP",
        ("dGhvdWdodA==", "Y2FsbA=="),
        oracle_gemini.frames,
        _message,
    ),
    Case(
        "gemini array",
        lambda noted: array_tap(GEMINI.decode_error, noted),
        GEMINI_STREAM,
        Usage(125, 90, 100, 0, 40),
        "STOP",
        ("dGhvdWdodA==", "Y2FsbA=="),
        oracle_gemini.items,
        _message,
        passes=b"[" + b",\r\n".join(ITEMS) + b"]",
    ),
    Case(
        "ollama",
        lambda noted: OllamaTap(OLLAMA.decode_error, noted),
        stream_of("ollama/chat_stream.ndjson"),
        Usage(5, 12),
        "stop",
        (),
        _lines,
        lambda told: str(told["error"]),
    ),
    Case(
        "ollama generate",
        lambda noted: OllamaTap(OLLAMA.decode_error, noted),
        stream_of("ollama/generate_stream.ndjson"),
        Usage(0, 3),
        "length",
        (),
        _lines,
        lambda told: str(told["error"]),
    ),
    Case(
        "responses",
        lambda noted: ResponsesTap(RESPONSES.decode_error, noted),
        stream_of("responses/stream.sse"),
        Usage(125, 90, 100, 20, 40),
        "completed",
        ("gAAAA", "gAAAAABo", "gAAAAABp"),
        oracle_responses.payloads,
        lambda told: str(told["response"]["error"]["message"]),
    ),
]
BY_NAME = {case.name: case for case in CASES}
each = pytest.mark.parametrize("name", BY_NAME)


@given(st.sampled_from(CASES), st.data())
def test_a_stream_passes_byte_for_byte_and_is_read_however_it_was_cut_up(
    case: Case, data: st.DataObject
) -> None:
    noted: list[str] = []
    reader = case.tap(noted.append)
    passed = b"".join(map(reader.feed, data.draw(chopped(case.stream))))
    assert passed + reader.eof() == (case.passes or case.stream)
    assert reader.done and reader.meaningful and reader.error is None
    assert (reader.usage, reader.finish) == (case.usage, case.finish)
    assert tuple(dict.fromkeys(noted)) == case.proofs


@each
def test_a_stream_passes_one_event_at_a_time_and_is_read_the_same(name: str) -> None:
    case = BY_NAME[name]
    reader = case.tap(None)
    end = b"\r\n\r\n" if "gemini" in name else b"\n" if "ollama" in name else b"\n\n"
    events = [event + end for event in case.stream.split(end)[:-1]]
    passed = b"".join(map(reader.feed, events)) + reader.eof()
    assert passed == (case.passes or case.stream)
    assert reader.done and reader.usage == case.usage


@each
def test_what_follows_the_end_does_not_pass(name: str) -> None:
    case = BY_NAME[name]
    reader = case.tap(None)
    reader.feed(case.stream)
    reader.eof()
    assert reader.feed(case.stream) == reader.eof() == b""
    assert reader.error is None


@each
def test_wherever_a_stream_is_cut_it_can_be_ended_with_an_error(name: str) -> None:
    case = BY_NAME[name]
    whole = case.passes or case.stream
    cuts = 0
    for end in range(0, len(case.stream), 3):
        reader = case.tap(None)
        passed = reader.feed(case.stream[:end]) + reader.eof()
        assert whole.startswith(passed.rstrip(b"\r\n")), (
            "only what came, and as it came"
        )
        if reader.error is None:
            continue  # but for the last line end, all was there
        cuts += 1
        assert type(reader.error) is UpstreamCut
        # Whatever breaks it, the guest can tell.
        *events, last = case.read(_ends_as_written(case, passed) + reader.fail(BROKE))
        assert case.said(last) == str(BROKE)
        assert not any("error" in event and event["error"] for event in events)
    assert cuts > 10


def _ends_as_written(case: Case, passed: bytes) -> bytes:
    """`passed`, whose last line end a reader may have had to make up."""
    if case.name == "gemini" and passed:
        return passed.rstrip(b"\r\n") + b"\r\n\r\n"
    return passed


@each
def test_an_error_that_passes_nothing_before_it_is_complete_in_itself(
    name: str,
) -> None:
    case = BY_NAME[name]
    *_, last = case.read(case.tap(None).fail(BROKE))
    assert case.said(last) == str(BROKE)


@each
@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html>\n<html><body>Bad gateway</body></html>\n",
        b"<html>\n\n</html>",
        b"",
        b"Internal Server Error",
        b"\x00\xff\xfe",
    ],
)
def test_what_is_no_stream_is_an_error_and_does_not_pass(
    name: str, body: bytes
) -> None:
    reader = BY_NAME[name].tap(None)
    assert (reader.feed(body) + reader.eof()).strip() == b""
    assert isinstance(reader.error, UpstreamCut | UpstreamMalformed)
    assert reader.error.failover and not reader.meaningful and not reader.done


@each
def test_broken_json_is_an_error_and_what_came_before_it_has_passed(name: str) -> None:
    case = BY_NAME[name]
    first, rest = _first(case)
    for broken in (b"{truncated", b'{"a":"\xff"x', b"{" + b'"a":[' * 50_000):
        reader = case.tap(None)
        wrong = b"data: " + broken + b"\r\n\r\n"
        if "ollama" in name:
            wrong = broken + b"\n"
        passed = reader.feed(first + wrong + rest) + reader.eof()
        assert case.passes is not None or passed == first
        assert type(reader.error) is UpstreamMalformed
        assert case.said(case.read(passed + reader.fail(BROKE))[-1]) == str(BROKE)


def _first(case: Case) -> tuple[bytes, bytes]:
    end = b"\n" if "ollama" in case.name else b"\n\n"
    end = b"\r\n\r\n" if "gemini" in case.name else end
    first, rest = case.stream.split(end, 1)
    return first + end, rest


@each
def test_what_never_ends_is_an_error(name: str) -> None:
    case = BY_NAME[name]
    reader = case.tap(None)
    first, _ = _first(case)
    passed = reader.feed(first + b"data: ")
    piece = b"x" * 2**20
    for _ in range(17):
        assert reader.feed(piece) == b""
    assert type(reader.error) is UpstreamMalformed
    assert reader.feed(first) == reader.eof() == b""
    assert case.said(case.read(passed + reader.fail(BROKE))[-1]) == str(BROKE)


_KINDS = (
    *("message_start", "content_block_start", "content_block_delta", "message_delta"),
    *("error", "response.created", "response.output_item.done", "response.completed"),
    *("response.failed", "response.output_text.delta"),
)
_MEMBERS = (
    *("choices", "usage", "error", "delta", "content_block", "message", "response"),
    *("candidates", "usageMetadata", "promptFeedback", "item", "done", "thinking"),
    *("eval_count", "done_reason", "sequence_number"),
)
_payloads = st.one_of(
    json_values(4),
    st.dictionaries(st.sampled_from(_MEMBERS), json_values(4), max_size=4).flatmap(
        lambda found: st.sampled_from(_KINDS).map(lambda kind: {"type": kind, **found})
    ),
)
_pieces = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"data: ", b"\n\n", b"\n", b"\r\n\r\n", b": x\n\n", b"event: a\n", b"id: 1\n"]
    ),
    st.sampled_from(
        [part for case in CASES for part in case.stream.splitlines(keepends=True)]
    ),
    _payloads.map(lambda v: b"data: " + msgspec.json.encode(v) + b"\n\n"),
    _payloads.map(lambda v: msgspec.json.encode(v) + b"\n"),
)


@settings(max_examples=300)
@given(st.sampled_from(CASES), st.lists(_pieces, max_size=6), st.data())
def test_no_bytes_make_it_raise_and_cutting_them_up_changes_nothing(
    case: Case, pieces: list[bytes], data: st.DataObject
) -> None:
    noted: list[str] = []
    wire = b"".join(pieces)
    reader, other = case.tap(noted.append), case.tap(None)
    passed = reader.feed(wire) + reader.eof()
    again = b"".join(map(other.feed, data.draw(chopped(wire)))) + other.eof()
    assert again.split() == passed.split()
    for name in ("meaningful", "done", "usage", "finish"):
        assert getattr(reader, name) == getattr(other, name)
    assert type(reader.error) is type(other.error)
    assert reader.error is None or isinstance(reader.error, GatewayError)
    assert all(noted)
    told = case.tap(None).fail(BROKE)
    assert reader.fail(BROKE).strip(b"[],\r\n")[-8:] == told.strip(b"[],\r\n")[-8:]
