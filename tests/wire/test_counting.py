"""How many tokens a request would be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from modelplex.errors import GatewayError, UpstreamMalformed
from modelplex.events import Image, Inline, Message, Request, Role, Text, Tool
from modelplex.testing.strategies import requests
from modelplex.wire.anthropic.count_tokens import (
    ANTHROPIC_COUNT,
    decode_count_request,
)
from modelplex.wire.counting import CountDialect, decode_input_tokens, estimate
from modelplex.wire.gemini.count_tokens import GEMINI_COUNT
from modelplex.wire.jsonobject import open_object
from modelplex.wire.responses.count_tokens import RESPONSES_COUNT

ALL = [ANTHROPIC_COUNT, GEMINI_COUNT, RESPONSES_COUNT]


def asking(*parts: Text | Image, tools: tuple[Tool, ...] = ()) -> Request:
    return Request("m", (Message(Role.USER, parts),), tools=tools)


@given(requests())
def test_an_estimate_never_fails_and_is_never_nothing(request: Request) -> None:
    assert estimate(request) > 0


def test_more_said_is_more_tokens() -> None:
    few = estimate(asking(Text("Hello")))
    tool = Tool("read", "reads a file", {"type": "object"})
    picture = Image(Inline("image/png", "iVBORw0KGgo="))
    assert few < estimate(asking(Text("Hello, how are you today?")))
    assert few < estimate(asking(Text("Hello"), tools=(tool,)))
    assert few + 1000 < estimate(asking(Text("Hello"), picture))
    words = asking(Text("the quick brown fox jumps over the lazy dog " * 100))
    assert 900 < estimate(words) < 1800


@given(requests())
def test_a_count_asks_for_no_answer(request: Request) -> None:
    try:
        body = json.loads(ANTHROPIC_COUNT.encode_request(request).body)
    except GatewayError:
        return
    assert not body.keys() & {"max_tokens", "stream", "stop_sequences", "temperature"}
    assert body["model"] == request.model and body["messages"]


@pytest.mark.parametrize("dialect", ALL, ids=[d.name for d in ALL])
def test_a_count_is_read_as_it_is_written(dialect: CountDialect) -> None:
    assert dialect.decode_reply(dialect.encode_reply(17)) == 17
    with pytest.raises(GatewayError):
        dialect.decode_reply(b"{}")


def test_a_count_of_another_shape_is_malformed() -> None:
    with pytest.raises(UpstreamMalformed):
        decode_input_tokens(b'{"input_tokens":"many"}')


def test_a_request_to_count_needs_no_limit() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
    assert decode_count_request(open_object(body)).messages == (
        Message(Role.USER, (Text("Hi"),)),
    )
