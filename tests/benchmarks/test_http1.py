"""The benchmarks' reader of HTTP/1.1 messages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.http1 import MessageReader, request
from benchmarks.replies import numbers, reply, stream

_PATHS = ("/v1/chat/completions", "/v1/messages", "/api/chat")


@given(cuts=st.lists(st.integers(0, 3000)), path=st.sampled_from(_PATHS))
def test_chunking_never_matters(cuts: list[int], path: str) -> None:
    wire = b"".join(stream(path, 7, True))
    ends = [0, *sorted(c for c in cuts if c < len(wire)), len(wire)]
    reader, whole = MessageReader(is_response=True), MessageReader(is_response=True)
    complete = [reader.feed(wire[a:b]) for a, b in pairwise(ends)]
    assert whole.feed(wire)
    assert complete == [False] * (len(complete) - 1) + [True]
    assert reader.body() == whole.body()
    assert numbers(reader.body()) == list(range(7))


@pytest.mark.parametrize("path", _PATHS)
def test_a_whole_answer_ends_with_its_length(path: str) -> None:
    wire = reply(path)
    reader = MessageReader(is_response=True)
    assert not reader.feed(wire[:-1])
    assert reader.feed(wire[-1:])
    assert reader.status == 200


def test_a_request_is_read_as_it_was_made() -> None:
    reader = MessageReader(is_response=False)
    assert reader.feed(request("/x", b"{}", ("a: b",)))
    assert reader.start == b"POST /x HTTP/1.1"
    assert reader.body() == b"{}"


def test_a_response_without_a_length_ends_with_its_connection() -> None:
    reader = MessageReader(is_response=True)
    assert not reader.feed(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    assert reader.eof()
    assert reader.body() == b"all of it"


def test_a_cut_stream_is_not_complete() -> None:
    wire = b"".join(stream("/v1/messages", 3, False))
    reader = MessageReader(is_response=True)
    assert not reader.feed(wire[:-1])
    assert not reader.eof()
