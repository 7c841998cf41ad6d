"""Server-sent events: cut into whole ones, read one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamMalformed
from modelplex.testing.strategies import chopped
from modelplex.wire import sse

ends = st.sampled_from(["\n", "\r\n", "\r"])
lines = st.sampled_from(
    ["data: a", "data:b", "data", ": ping", "event: x", "id: 1", "data: {}"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Events whose lines all end in one way, and perhaps an unfinished one."""
    end = draw(ends)
    events = draw(st.lists(st.lists(lines, min_size=1, max_size=3), max_size=4))
    text = "".join(end.join(event) + end + end for event in events)
    return (text + draw(st.sampled_from(["", "data: cu", "data: a" + end]))).encode()


@given(stream=streams(), data=st.data())
def test_chunking_never_matters(stream: bytes, data: st.DataObject) -> None:
    frames, whole = sse.Frames(), sse.Frames()
    block = b"".join(frames.feed(c) for c in data.draw(chopped(stream)))
    at_once = whole.feed(stream)
    assert sse.events(block) == sse.events(at_once)
    assert [sse.data(e) for e in sse.events(block)] == [
        sse.data(e) for e in sse.events(at_once)
    ]
    assert frames.rest.strip(b"\r\n") == whole.rest.strip(b"\r\n")


@given(data=st.data(), stream=st.text("\r\nda: x", max_size=30).map(str.encode))
def test_no_byte_is_lost_or_made_up(data: st.DataObject, stream: bytes) -> None:
    frames = sse.Frames()
    given = data.draw(chopped(stream))
    assert b"".join(frames.feed(c) for c in given) + frames.rest == stream


def test_an_event_over_the_limit_is_an_error_and_one_at_the_limit_is_not() -> None:
    assert sse.Frames(limit=5).feed(b"12345") == b""
    frames = sse.Frames(limit=5)
    assert frames.feed(b"123") == b""
    with pytest.raises(UpstreamMalformed, match="over 5 bytes"):
        frames.feed(b"456")


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (b"data: {}", b"{}"),
        (b"data:{}", b"{}"),
        (b"data:  {}", b" {}"),
        (b"data: a\ndata: b", b"a\nb"),
        (b"data: a\r\ndata: b", b"a\nb"),
        (b"data: a\rdata: b", b"a\nb"),
        (b"event: x\nid: 1\ndata: y", b"y"),
        (b"data: ", b""),
        (b"event: ping", None),
        (b": data: no", None),
        (b"database: no", None),
    ],
)
def test_the_payload_of_an_event(event: bytes, payload: bytes | None) -> None:
    assert sse.data(event) == payload


@given(st.binary(max_size=20).filter(lambda b: b"\n" not in b and b"\r" not in b))
def test_what_is_encoded_is_read_again(payload: bytes) -> None:
    for event in (None, "name"):
        [read] = sse.events(sse.encode(payload, event))
        assert sse.data(read) == payload


@pytest.mark.parametrize(
    ("event", "silent"),
    [
        (b": ping", True),
        (b":\n: b", True),
        (b": a\nevent: x", False),
        (b"event: x", False),
        (b"id: 1\n: a", False),
    ],
)
def test_only_comments_are_a_comment(event: bytes, silent: bool) -> None:
    assert sse.is_comment(event) is silent
    assert sse.is_comment(sse.comment("x"))


@pytest.mark.parametrize(
    ("start", "likely"),
    [
        (b"data: {", True),
        (b"da", True),
        (b"", True),
        (b"\xef\xbb\xbfdata: x", True),
        (b"\r\n\r\nevent: x\n", True),
        (b": comment", True),
        (b"data\n\n", True),
        (b'{"data": 1}', False),
        (b"<html>", False),
        (b"database", False),
    ],
)
def test_the_start_of_a_body_tells_whether_it_is_a_stream(
    start: bytes, likely: bool
) -> None:
    assert sse.looks_like_events(start) is likely
