"""Ollama's replies that pass through, and what is learnt from them on the way."""

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
    UpstreamOverloaded,
)
from modelplex.events import Usage
from modelplex.testing.strategies import chopped, json_values
from modelplex.wire.ollama.errors import decode_error
from modelplex.wire.ollama.tap import OllamaTap, whole_tap
from modelplex.wire.tap import WholeTap

GOLDEN = Path(__file__).parents[1] / "golden" / "ollama"
STREAM = (GOLDEN / "chat_stream.ndjson").read_bytes()
REPLY = (GOLDEN / "chat_reply.json").read_bytes()


def tap() -> OllamaTap:
    return OllamaTap(decode_error)


def line(**members: Any) -> bytes:
    return msgspec.json.encode({"model": "m", "done": False} | members) + b"\n"


def chat(**said: Any) -> bytes:
    return line(message={"role": "assistant", "content": ""} | said)


HI = chat(content="Hi")
END = line(done=True, done_reason="stop", prompt_eval_count=5, eval_count=2)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_passes_as_it_came(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    reader = tap()
    assert reader.feed(stream) + reader.eof() == stream
    assert (reader.usage, reader.finish, reader.done) == (Usage(5, 12), "stop", True)


@pytest.mark.parametrize(
    ("said", "meaningful"),
    [
        (chat(), False),
        (chat(thinking="", tool_calls=[]), False),
        (line(response=""), False),
        (line(message=7), False),
        (line(completed=1, total=9), False),
        (HI, True),
        (chat(thinking="hm"), True),
        (chat(tool_calls=[{"function": {"name": "f"}}]), True),
        (line(response="Hi"), True),
        (line(response="", thinking="hm"), True),
        (line(response="", tool_calls=[{"function": {"name": "f"}}]), True),
        (END, True),
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
        (b'{"error":"the runner has died"}\n', UpstreamOverloaded),
        (b'{"error":{"message":"x"}}\n', UpstreamOverloaded),
        (b'{"error":"the runner has died"}', UpstreamOverloaded),
        (b'{"done":7,"error":"x"}\n', UpstreamOverloaded),
        (b'{"error":"\xff"}\n', GatewayError),
        (b"<html>\n", UpstreamMalformed),
        (b'{"done":\n', UpstreamMalformed),
        (b'{"done":true', UpstreamCut),
        (b"", UpstreamCut),
    ],
)
def test_an_error_is_read_and_not_passed(said: bytes, kind: type[GatewayError]) -> None:
    reader = tap()
    assert reader.feed(HI + said) + reader.eof() == HI
    assert isinstance(reader.error, kind)
    assert reader.feed(END) == reader.eof() == b""
    lines = (HI + reader.fail(reader.error)).splitlines()
    assert json.loads(lines[-1]) == {"error": str(reader.error)}


def test_empty_lines_do_not_pass() -> None:
    reader = tap()
    assert reader.feed(b"\n" + HI + b"\r\n \n" + HI + b"\n") == HI + HI
    assert reader.feed(b"\n") == b""


def test_the_last_line_end_may_be_missing() -> None:
    reader = tap()
    assert reader.feed(HI + END[:-1]) == HI
    assert reader.eof() == END
    assert reader.done and reader.error is None
    # What follows a line that was not the last has a line of its own.
    reader = tap()
    assert reader.feed(HI[:-1]) + reader.eof() == HI
    assert type(reader.error) is UpstreamCut


def test_nothing_passes_after_the_end() -> None:
    reader = tap()
    assert reader.feed(HI + END + HI + b"rest") == HI + END
    assert reader.feed(b"x" * 2**25) == reader.eof() == b""
    assert reader.error is None


def test_a_line_is_bounded() -> None:
    reader = OllamaTap(decode_error, limit=100)
    assert reader.feed(HI + b"x" * 60) == HI
    assert reader.feed(b"x" * 60) == b""
    assert type(reader.error) is UpstreamMalformed


def test_a_shape_that_is_not_known_passes() -> None:
    reader = tap()
    odd = b'{"done":7}\n[1]\n"x"\n{"error":null,"done":"x"}\n{"error":""}\n'
    assert reader.feed(odd) == odd
    assert reader.error is None and not reader.meaningful


@given(st.lists(json_values(), max_size=4), st.data())
def test_any_json_is_passed_or_an_error(
    payloads: list[Any], data: st.DataObject
) -> None:
    for key in ("message", "done", "error", "eval_count", "response"):
        wire = b"".join(msgspec.json.encode({key: v}) + b"\n" for v in payloads)
        reader = tap()
        passed = b"".join(map(reader.feed, data.draw(chopped(wire)))) + reader.eof()
        assert wire.startswith(passed)
        assert reader.done or reader.error is not None


# --- whole replies ----------------------------------------------------------


def whole(body: bytes) -> tuple[bytes, WholeTap]:
    reader = whole_tap(decode_error, 5000)
    assert reader.feed(body) == b""
    return reader.eof(), reader


def test_a_whole_reply_passes_as_it_came() -> None:
    passed, reader = whole(REPLY)
    assert passed == REPLY
    told = json.loads(REPLY)
    assert reader.usage == Usage(told["prompt_eval_count"], told["eval_count"])
    assert reader.finish == told["done_reason"] and reader.done


@pytest.mark.parametrize(
    "body", [b'{"embeddings":[[1]]}', b'{"models":[]}', b'{"done":7}']
)
def test_what_is_not_known_passes_whole(body: bytes) -> None:
    passed, reader = whole(body)
    assert (passed, reader.error, reader.usage) == (body, None, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":"no"}', UpstreamOverloaded),
        (b'{"done":7,"error":"no"}', GatewayError),
        (HI, UpstreamCut),
        (HI + END, UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b"<html>", UpstreamMalformed),
        (b"{}" + b" " * 5000, UpstreamMalformed),
        (b"", UpstreamMalformed),
    ],
)
def test_what_is_no_reply_is_an_error(body: bytes, kind: type[GatewayError]) -> None:
    passed, reader = whole(body)
    assert passed == b""
    assert isinstance(reader.error, kind)
