"""Streams of events, as a client reads them that may have to go on after a cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamMalformed
from modelplex.testing.strategies import chopped
from modelplex.wire.mcp.event_stream import (
    LARGEST,
    LONGEST_WAIT,
    EventReader,
    ServerEvent,
)

LINES = st.sampled_from(
    [
        *("data: a", "data:b", "data", "data: é", ": ping", "event: endpoint", "retry"),
        *("event", "id: 1", "id", "id: é", "retry: 20", "retry: x", "unknown: 1"),
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    events = draw(st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=5))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    text = mark + "".join(end.join(event) + end + end for event in events)
    return (text + draw(st.sampled_from(["", "data: cut", "id: 9"]))).encode()


def read(*chunks: bytes) -> tuple[EventReader, list[ServerEvent]]:
    reader = EventReader()
    return reader, [event for chunk in chunks for event in reader.feed(chunk)]


@given(stream=streams(), data=st.data())
def test_chunking_never_matters(stream: bytes, data: st.DataObject) -> None:
    piecewise, found = read(*data.draw(chopped(stream)))
    whole, expected = read(stream)
    assert found == expected
    assert (piecewise.last_id, piecewise.retry) == (whole.last_id, whole.retry)


@given(stream=st.binary(max_size=60))
def test_any_bytes_are_read(stream: bytes) -> None:
    reader, found = read(stream)
    assert all(event.data for event in found)
    assert reader.last_id.isascii()


def test_an_event_has_all_its_lines_and_one_space_is_not_of_them() -> None:
    _, found = read(b"event: x\r\ndata: 1\r\ndata:  2\r\ndata\r\n\r\n")
    assert found == [ServerEvent("x", b"1\n 2\n")]


def test_what_has_no_data_still_says_where_to_go_on() -> None:
    reader, found = read(b"id: e1\nretry: 1500\ndata:\n\n")
    assert found == []
    assert (reader.last_id, reader.retry) == ("e1", 1.5)


def test_an_event_that_is_cut_is_none() -> None:
    reader, found = read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert [event.data for event in found] == [b"a"]
    assert reader.last_id == "1"
    reader.cut()
    assert reader.feed(b"data: c\n\n") == [ServerEvent("message", b"c")]
    assert reader.last_id == "1"


@pytest.mark.parametrize(
    ("line", "retry"),
    [
        *((b"retry: 0", 0.0), (b"retry: -1", None), (b"retry: 1.5", None)),
        *((b"retry: 999999999", LONGEST_WAIT), (b"retry: " + b"9" * 40, None)),
    ],
)
def test_a_wait_is_all_digits_and_bounded(line: bytes, retry: float | None) -> None:
    assert read(line + b"\n\n")[0].retry == retry


@pytest.mark.parametrize("bad", [b"\x00", "é".encode(), b"a\x7f", b"x" * 2000])
def test_an_id_that_no_header_can_say_is_not_kept(bad: bytes) -> None:
    reader, _ = read(b"id: good\n\nid: " + bad + b"\n\n")
    assert reader.last_id == "good"


def test_an_event_without_an_end_is_an_error() -> None:
    reader = EventReader()
    with pytest.raises(UpstreamMalformed):
        for _ in range(LARGEST // 2**20 + 1):
            reader.feed(b"x" * 2**20)
