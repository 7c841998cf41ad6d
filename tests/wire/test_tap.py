"""What the readers of replies that pass through have in common."""

from __future__ import annotations

import json
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
    UpstreamRejected,
)
from modelplex.events import Usage
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire import sse
from modelplex.wire.openai.errors import decode_error
from modelplex.wire.tap import (
    DecodeError,
    Framing,
    Seen,
    WholeTap,
    comment_only,
    is_error,
    meant,
    payload_of,
    without_id,
    wrong_with,
)

Taken = list[tuple[bytes | None, bytes]]


def taken(chunks: list[bytes]) -> tuple[Taken, bytes]:
    """Each event with its payload, and what passed when all of it passes."""
    found: Taken = []

    def take(payload: bytes | None, frame: bytes) -> bytes:
        found.append((payload, frame))
        return frame

    framing = Framing()
    passed = b"".join([framing.feed(chunk, take) for chunk in chunks])
    return found, passed + framing.eof(take)


_lines = st.lists(
    st.sampled_from([b"data: {}", b"event: x", b": c", b"id: 1", b"data:", b"", b"x"])
)


@given(_lines, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_events_are_the_same_however_they_were_cut_up(
    lines: list[bytes], end: bytes, data: st.DataObject
) -> None:
    wire = end.join(lines) + 2 * end
    found, passed = taken([wire])
    again, same = taken(data.draw(chopped(wire)))
    assert b"".join(passed.split()) == b"".join(same.split()) == b"".join(wire.split())
    said = [(p, f.split()) for p, f in found if f.strip()]
    assert said == [(p, f.split()) for p, f in again if f.strip()]


@given(st.binary(max_size=20) | _lines.map(b"\n".join))
def test_a_payload_is_what_the_standard_says(event: bytes) -> None:
    assert payload_of(event) == sse.data(event)
    assert payload_of(b"event: x\ndata: " + event) == sse.data(
        b"event: x\ndata: " + event
    )


def test_a_byte_order_mark_hides_no_event() -> None:
    for chunks in ([b"\xef\xbb\xbfdata: {}\n\n"], [b"\xef", b"\xbb\xbfdata: {}\n\n"]):
        assert taken(chunks) == ([(b"{}", b"data: {}\n\n")], b"data: {}\n\n")


@pytest.mark.parametrize("missing", [1, 2])
def test_only_the_last_line_end_may_be_missing(missing: int) -> None:
    wire = b'data: {"a":1}\n\n'
    assert taken([wire[:-missing]]) == ([(b'{"a":1}', wire)], wire)
    assert taken([wire[:-4]]) == ([], b"")
    assert taken([b"data: " + b"[" * 100_000]) == ([], b"")
    assert taken([b"data: [DONE]"])[0] == [(b"[DONE]", b"data: [DONE]\n\n")]
    assert taken([b"\n", b"\n\n\r\n\r\n"]) == ([], b"\n\n\n\r\n\r\n")


def test_only_empty_lines_are_empty() -> None:
    for wire in (b"\rx\n\n", b"\n\rx\r\r"):
        assert [payload for payload, _ in taken([wire])[0]] == [None]


def test_what_says_nothing_does_not_pass_unless_it_is_a_comment() -> None:
    assert comment_only(None, b": x\n\n") == b": x\n\n"
    for payload, frame in (
        (None, b"event: ping\n\n"),
        (b"", b"data:\n\n"),
        (None, b": x\nevent: y\n\n"),
    ):
        assert comment_only(payload, frame) == b""


def test_an_id_is_taken_out_wherever_it_stands() -> None:
    assert without_id(b'id: 7\ndata: {"id:":1}\n\n') == b'data: {"id:":1}\n\n'
    assert without_id(b"data: {}\r\nid:\r\n\r\n") == b"data: {}\r\n\r\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"error":{}}', True),
        (b' [ {"error": "x"} ]', True),
        (b'{"error":null}', False),
        (b'[{"error":null}]', False),
        (b"[]", False),
        (b"[1]", False),
        (b'"error"', False),
        (b'{"error":', False),
        (b"<html>", False),
        (b"", False),
        (b"[" * 100_000, False),
    ],
)
def test_an_error_is_told_from_an_answer(text: bytes, expected: bool) -> None:
    assert is_error(text) is expected


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"choices":7}', None),
        (b"[1]", None),
        (b'{"choices":7,"error":{}}', GatewayError),
        (b'{"choices":7,"cu', UpstreamMalformed),
        (b"[1", UpstreamMalformed),
        (b"[" * 100_000, UpstreamMalformed),
    ],
)
def test_a_shape_not_known_is_no_mistake(
    payload: bytes, kind: type[GatewayError] | None
) -> None:
    found = wrong_with(payload, decode_error)
    assert found is None if kind is None else isinstance(found, kind)


def test_an_error_that_cannot_be_read_is_still_one() -> None:
    def unreadable(status: int, body: bytes) -> GatewayError:
        raise UnicodeDecodeError("utf-8", body, 0, 1, "no text")

    assert type(meant(unreadable, b"\xff")) is UpstreamError


# --- replies in one piece ---------------------------------------------------


def read(body: bytes, decode_error: DecodeError) -> Seen:
    found: dict[str, Any] = json.loads(body)
    if "error" in found:
        raise decode_error(200, body)
    return Seen(Usage(1), "stop", ("p1", "p2"))


def whole(body: bytes, **more: Any) -> tuple[bytes, WholeTap]:
    reader = WholeTap(decode_error, 100, more.pop("read", read), **more)
    for start in range(0, len(body), 7):
        assert reader.feed(body[start : start + 7]) == b""
    return reader.eof(), reader


def test_a_whole_reply_passes_and_is_read_and_remembered() -> None:
    noted: list[str] = []
    passed, reader = whole(b' {"a": 1}', noted=noted.append)
    assert passed == reader.body == b' {"a": 1}'
    assert (reader.usage, reader.finish, reader.error) == (Usage(1), "stop", None)
    assert reader.meaningful and reader.done
    assert noted == ["p1", "p2"]
    assert reader.fail(UpstreamCut("x")) == b""


def test_a_reply_that_is_rewritten_is_read_again() -> None:
    passed, reader = whole(b"{}", rewrite=lambda body: b'{"x":%b}' % body)
    assert passed == reader.body == b'{"x":{}}'
    passed, reader = whole(b"{}", rewrite=lambda body: b'{"error":"no"}')
    assert passed == b"" and isinstance(reader.error, GatewayError)


def test_what_is_too_long_is_forgotten() -> None:
    passed, reader = whole(b"{}" + b" " * 200)
    assert passed == reader.body == b""
    assert type(reader.error) is UpstreamMalformed
    assert not reader.done


def test_a_reply_that_broke_off_elsewhere_does_not_pass() -> None:
    reader = WholeTap(decode_error, 100, read)
    reader.error = UpstreamCut("the connection broke")
    assert reader.feed(b"{}") == reader.eof() == b""


@given(st.binary(max_size=20) | json_values().map(lambda v: json.dumps(v).encode()))
def test_a_shape_that_is_not_known_passes_if_it_is_an_object(body: bytes) -> None:
    def unknown(body: bytes, decode_error: DecodeError) -> Seen:
        msgspec.json.decode(body, type=int | None)
        raise msgspec.ValidationError("?")

    passed, reader = whole(body, read=unknown)
    if reader.error is None:
        assert passed == body and isinstance(json.loads(passed), dict)
    else:
        assert passed == b""


def test_an_error_of_a_shape_that_is_not_known_is_an_error() -> None:
    def unknown(body: bytes, decode_error: DecodeError) -> Seen:
        raise msgspec.ValidationError("?")

    body = b'{"error":{"type":"invalid_request_error","message":"no"}}'
    assert type(whole(body, read=unknown)[1].error) is UpstreamRejected
