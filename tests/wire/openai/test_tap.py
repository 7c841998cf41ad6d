"""OpenAI streams and replies that pass through while they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRateLimited,
)
from modelplex.events import Usage
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire import sse
from modelplex.wire.openai.errors import decode_error
from modelplex.wire.openai.tap import StreamTap, whole_tap
from modelplex.wire.tap import Framing, WholeTap

USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
COUNTED = Usage(5, 2, cached_tokens=3, reasoning_tokens=1)


def tap(hide: bool = False) -> StreamTap:
    return StreamTap(decode_error, hide)


def event(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


ROLE, HI, STOP = delta(role="assistant", content=""), delta(content="Hi"), delta("stop")
DONE = b"data: [DONE]\n\n"

#: Text that looks like what is taken out, in every place where a guest may put it.
quoting = st.sampled_from(
    [
        "Hi",
        '{"a":1,"usage":null}',
        ',"usage":null',
        '","usage":null,"',
        ' , "usage" : null',
        "data: [DONE]\n\n",
        '\n\ndata: {"error":{}}\n\n',
        "\r\n\r\n",
        "größe ☃",
    ]
)


@st.composite
def chunks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The chunks of an answer, without anything about usage."""
    inner = {"usage": None, "note": draw(quoting)}  # a member that is not the stream's
    more: list[dict[str, Any]] = [{}, inner, {"x": draw(quoting)}]
    said: list[dict[str, Any]] = [ROLE]
    for text in draw(st.lists(quoting, max_size=3)):
        said.append({"id": "c", **delta(content=text, **draw(st.sampled_from(more)))})
    return [*said, {**delta("stop"), "model": draw(quoting)}]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A stream with the usage that was asked for, and the same without asking."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    tight = draw(st.booleans())
    between = (",", ":") if tight else (", ", ": ")

    def written(chunk: dict[str, Any]) -> str:
        text = json.dumps(chunk, separators=between, ensure_ascii=draw(st.booleans()))
        return f"data: {text}{end}{end}"

    asked = plain = ""
    for chunk in draw(chunks()):
        comment = draw(st.sampled_from(["", f": ping{end}{end}"]))
        asked += comment + written({**chunk, "usage": None})
        plain += comment + written(chunk)
    asked += written({"id": "c", "choices": [], "usage": USAGE})
    done = f"data: [DONE]{end}{end}"
    return (asked + done).encode(), (plain + done).encode()


@given(stream=streams(), data=st.data())
def test_a_stream_passes_byte_for_byte_however_it_was_cut_up(
    stream: tuple[bytes, bytes], data: st.DataObject
) -> None:
    for wire in stream:
        reader = tap()
        given = data.draw(chopped(wire))
        assert b"".join(map(reader.feed, given)) + reader.eof() == wire
        assert (reader.done, reader.finish, reader.error) == (True, "stop", None)
    assert reader.usage is None


def parsed(stream: bytes) -> list[Any]:
    found: list[Any] = []
    for one in sse.events(stream):
        payload = sse.data(one)
        ended = payload is None or payload == b"[DONE]"
        found.append(one if ended or payload is None else json.loads(payload))
    return found


@given(stream=streams(), data=st.data())
def test_usage_that_only_we_asked_for_leaves_no_trace(
    stream: tuple[bytes, bytes], data: st.DataObject
) -> None:
    asked, plain = stream
    reader = tap(hide=True)
    given = data.draw(chopped(asked))
    passed = b"".join(map(reader.feed, given)) + reader.eof()
    assert parsed(passed) == parsed(plain)
    assert reader.usage == COUNTED
    assert (reader.done, reader.finish, reader.error) == (True, "stop", None)
    whole = tap(hide=True)
    assert whole.feed(asked) + whole.eof() == passed


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (b'{"id":"c","usage":null}', b'{"id":"c"}'),
        (b'{"id":"c", "usage" : null, "x":1}', b'{"id":"c", "x":1}'),
        (b'{"usage":null,"id":"c"}', b'{"id":"c"}'),
        (b'{"id":"c",\t"usage":null}', b'{"id":"c"}'),
        (b'{"x":[{"usage":null,"y":1}]}', b'{"x":[{"usage":null,"y":1}]}'),
        (
            b'{"x":[{"y":1,"usage":null}],"usage":null}',
            b'{"x":[{"y":1,"usage":null}]}',
        ),
        (
            b'{"x":"\\",\\"usage\\":null","usage":null}',
            b'{"x":"\\",\\"usage\\":null"}',
        ),
        (b'{"choices":[{"usage":{"a":1}}]}', b'{"choices":[{"usage":{"a":1}}]}'),
    ],
)
def test_only_the_null_of_the_chunk_itself_is_taken_out(
    chunk: bytes, expected: bytes
) -> None:
    frame = b"data: " + chunk + b"\n\n"
    assert tap(hide=True).feed(frame) == b"data: " + expected + b"\n\n"
    assert tap(hide=False).feed(frame) == frame


def test_usage_beside_an_answer_stays() -> None:
    reader = tap(hide=True)
    frame = event({**STOP, "usage": USAGE})
    assert reader.feed(frame) == frame
    assert reader.usage == COUNTED


@pytest.mark.parametrize(
    ("chunk", "says"),
    [
        (ROLE, False),
        (delta(role="assistant", content=None, refusal=None, tool_calls=[]), False),
        ({"choices": [], "prompt_filter_results": [{"x": 1}]}, False),
        ({"choices": None}, False),
        ({"choices": [{"text": ""}]}, False),
        ({"choices": [], "usage": USAGE}, False),
        (HI, True),
        (delta(reasoning_content="hm"), True),
        (delta(refusal="no"), True),
        (delta(tool_calls=[{"index": 0, "id": "call_a"}]), True),
        (delta("stop"), True),
        ({"choices": [{"text": "Hi"}]}, True),
        ({"choices": [delta()["choices"][0], HI["choices"][0]]}, True),
    ],
)
def test_a_piece_of_the_answer_is_told_from_an_announcement(
    chunk: Any, says: bool
) -> None:
    reader = tap()
    assert reader.feed(event(chunk)) == event(chunk)
    assert reader.meaningful is says
    reader.feed(event(HI))
    assert reader.meaningful


def test_nothing_passes_after_the_end() -> None:
    reader = tap()
    assert reader.feed(event(STOP) + DONE + event(HI)) == event(STOP) + DONE
    assert reader.feed(event(HI)) == b""
    assert reader.eof() == b""
    assert reader.error is None


def test_an_answer_that_finished_needs_no_done() -> None:
    reader = tap()
    assert reader.feed(event(HI) + event(STOP)[:-2]) == event(HI)
    assert reader.eof() == event(STOP)
    assert reader.error is None


@given(chunks().flatmap(lambda c: st.tuples(st.just(c), st.integers(0, 10**6))))
def test_a_stream_cut_before_the_answer_ended_is_an_error(
    cut: tuple[list[dict[str, Any]], int],
) -> None:
    wire = b"".join(map(event, cut[0]))
    finish = len(wire) - len(event(cut[0][-1]))
    wire = wire[: cut[1] % (finish + 1)]
    reader = tap()
    passed = reader.feed(wire) + reader.eof()
    assert wire.startswith(passed.removesuffix(b"\n\n"))
    assert passed == b"" or passed.endswith(b"}\n\n")
    assert isinstance(reader.error, UpstreamCut)
    assert reader.error.failover


def test_an_error_in_the_stream_is_read_and_not_passed() -> None:
    reader = tap()
    error = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    assert reader.feed(event(HI) + event(error) + event(HI)) == event(HI)
    assert isinstance(reader.error, UpstreamRateLimited)
    assert str(reader.error) == "slow down"
    assert (reader.feed(DONE), reader.eof(), reader.done) == (b"", b"", False)


@pytest.mark.parametrize("error", [{"message": "x"}, "words", {}, [1], 5, True])
def test_an_error_of_any_shape_is_an_error(error: Any) -> None:
    reader = tap()
    assert reader.feed(event({**HI, "error": error})) == b""
    assert isinstance(reader.error, GatewayError)


def test_no_error_is_no_error() -> None:
    reader = tap()
    assert reader.feed(event({**HI, "error": None})) == event({**HI, "error": None})
    assert reader.error is None


def test_comments_pass_and_events_that_kill_clients_do_not() -> None:
    reader = tap()
    hostile = b"event: ping\n\ndata: \n\ndata\n\nid: 7\n\n: a\nevent: x\n\n"
    assert reader.feed(b": keep-alive\n\n" + hostile) == b": keep-alive\n\n"
    assert reader.feed(b"event: x\n" + event(HI)) == b"event: x\n" + event(HI)
    # An id sticks in the Python SDK, which then takes the next comment for an event.
    assert reader.feed(b"id: 7\n" + event(HI)) == event(HI)
    assert reader.feed(event(HI)[:-1] + b"id: 7\r\n\n") == event(HI)


def test_malformed_json_is_an_error_and_an_unknown_shape_is_not() -> None:
    reader = tap()
    odd = event({"choices": "?", "usage": None})
    assert reader.feed(odd) == odd
    assert reader.feed(b"data: {truncated\n\n") == b""
    assert isinstance(reader.error, UpstreamMalformed)


def test_text_that_is_no_text_is_an_error() -> None:
    for payload in (b'{"choices":[{"finish_reason":"\xff"}]}', b'{"error":"\xff"}'):
        reader = tap()
        assert reader.feed(b"data: " + payload + b"\n\n") == b""
        assert isinstance(reader.error, GatewayError)


def test_an_error_in_place_of_a_stream_is_read() -> None:
    error = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    for body in (json.dumps(error), json.dumps([error], indent=1) + "\n\n"):
        reader = tap()
        assert reader.feed(body.encode()) + reader.eof() == b""
        assert isinstance(reader.error, UpstreamRateLimited)


def test_proofs_in_reasoning_details_are_noted() -> None:
    details = [{"signature": "s1"}, {"data": "d1"}, {"text": "x", "signature": None}]
    noted: list[str] = []
    reader = StreamTap(decode_error, False, noted.append)
    said = delta(reasoning_details=details)
    odd = delta(reasoning_details=7)
    assert reader.feed(event(said) + event(odd)) == event(said) + event(odd)
    message = {"choices": [{"message": {"reasoning_details": details}}]}
    other = whole_tap(decode_error, 1000, noted=noted.append)
    other.feed(json.dumps(message).encode())
    assert other.eof() == json.dumps(message).encode()
    assert noted == ["s1", "d1"] * 2


def test_an_endless_event_is_an_error() -> None:
    reader = StreamTap(decode_error, False, framing=Framing(sse.Frames(limit=100)))
    assert reader.feed(b"data: " + b"x" * 200) == b""
    assert isinstance(reader.error, UpstreamMalformed)


_pieces = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"data: ", b"\n\n", b"\r\n", DONE, b": x\n\n", b"event: a\n"]),
        json_values().map(event),
        st.fixed_dictionaries(
            {},
            optional={
                "choices": st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"delta": json_values(3), "text": json_values(2)}
                    ),
                    max_size=2,
                ),
                "usage": json_values(3),
                "error": json_values(3),
            },
        ).map(event),
    ),
    max_size=5,
)


@given(pieces=_pieces, hide=st.booleans(), data=st.data())
@example(pieces=[b"data: {}\r:hi\n\n"], hide=False, data=None)
@example(pieces=[b'data: {"usage":null,"usage":null}\n\n'], hide=True, data=None)
@example(pieces=[b"data: " + b"[" * 100_000 + b"\n\n"], hide=True, data=None)
def test_no_bytes_make_it_raise_and_cutting_them_up_changes_nothing(
    pieces: list[bytes], hide: bool, data: st.DataObject | None
) -> None:
    wire = b"".join(pieces)
    reader, other = tap(hide), tap(hide)
    passed = reader.feed(wire) + reader.eof()
    cut = pieces if data is None else data.draw(chopped(wire))
    again = b"".join(map(other.feed, cut)) + other.eof()
    assert again.split() == passed.split()
    for name in ("meaningful", "done", "usage", "finish"):
        assert getattr(reader, name) == getattr(other, name)
    assert type(reader.error) is type(other.error)
    assert reader.error is None or isinstance(reader.error, GatewayError)


# --- whole replies ----------------------------------------------------------


def whole(body: bytes, limit: int = 1000, size: int = 7) -> tuple[bytes, WholeTap]:
    reader = whole_tap(decode_error, limit)
    for start in range(0, len(body), size):
        assert reader.feed(body[start : start + size]) == b""
    return reader.eof(), reader


def test_a_whole_reply_passes_as_it_came() -> None:
    body = json.dumps(
        {"choices": [{"finish_reason": "length"}], "usage": USAGE, "new": {"x": []}},
        indent=1,
    ).encode()
    passed, reader = whole(body)
    assert passed == body
    assert (reader.usage, reader.finish, reader.error) == (COUNTED, "length", None)
    assert reader.meaningful and reader.done


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", UpstreamMalformed),
        (b'{"choices":[', UpstreamMalformed),
        (b'{"choices":7,"cut', UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b'"{}"', UpstreamMalformed),
        (b"<html>", UpstreamMalformed),
        (b"{}" + b" " * 1000, UpstreamMalformed),
        (b'{"a":' + b"[" * 900, UpstreamMalformed),
        (b'{"error":{"message":"no","type":"rate_limit_error"}}', UpstreamRateLimited),
    ],
)
def test_what_is_no_reply_is_an_error(body: bytes, error: type[UpstreamError]) -> None:
    passed, reader = whole(body)
    assert passed == b""
    assert type(reader.error) is error
    assert not reader.done


def test_a_reply_of_a_shape_we_do_not_know_passes() -> None:
    body = b' {"choices": 7, "usage": [], "object": "new"}'
    passed, reader = whole(body)
    assert (passed, reader.error, reader.done) == (body, None, True)


def test_a_rewritten_reply_is_read_after_it_was_rewritten() -> None:
    reader = whole_tap(decode_error, 100, lambda body: event({"usage": USAGE})[6:])
    reader.feed(b"{}")
    assert json.loads(reader.eof()) == {"usage": USAGE}
    assert reader.usage == COUNTED


@given(st.one_of(st.binary(max_size=20), json_values().map(lambda v: event(v)[6:])))
def test_any_bytes_are_passed_whole_or_are_an_error(body: bytes) -> None:
    passed, reader = whole(body)
    if reader.error is None:
        assert passed == body
        assert isinstance(json.loads(passed), dict)
    else:
        assert passed == b""
        assert isinstance(reader.error, GatewayError)
