"""What is sent to Anthropic for a guest that speaks its dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from modelplex.config import Provider
from modelplex.graph import providers_of
from modelplex.secret import Secret
from modelplex.testing.contract import Told
from modelplex.testing.memory.upstream import Connection, Upstreams
from modelplex.wire.anthropic.count_tokens import ANTHROPIC_COUNT, decode_count_request
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.anthropic.tap import AnthropicTap
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini.count_tokens import GEMINI_COUNT
from modelplex.wire.gemini.count_tokens import (
    decode_count_request as decode_gemini_count,
)
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.tap import WholeTap

BETA = (b"anthropic-beta", b"some-beta-2026-01-01")
WHOLE = (
    b'{"type":"message","content":[{"type":"text","text":"Hi"}],'
    b'"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}'
)
STREAM = b"".join(
    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    )
)


@define(eq=False)
class Asking:
    """A provider that was asked for something."""

    asked: Asked
    reactor: Any = field(factory=MemoryReactorClock)
    connection: Connection = field(init=False)
    opened: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        upstreams = Upstreams(self.reactor)
        config = Provider(
            name="up",
            type="anthropic",
            base_url="http+unix://%2Fup",
            api_keys=(Secret("sk-ant-1"),),
            max_tokens=5,
        )
        [provider] = providers_of(config, self.reactor, 10_000)
        opening = provider.open(self.asked, "up", 900)
        Deferred.fromCoroutine(opening).addBoth(self.opened.append)
        self.connection = upstreams.accept("/up")


def test_what_is_counted_is_passed_on_or_translated() -> None:
    body = b'{"model": "fast", "messages": [], "unknown": 1}'
    operation, answering = Operation.COUNT_TOKENS, Answering("fast", 0)
    counted = evolve(ANTHROPIC, decode_request=decode_count_request)
    asking = Asking(
        Asked(
            *(operation, counted, open_object(body), "fast", False, answering),
            counting=ANTHROPIC_COUNT,
        )
    )
    request = asking.connection.request()
    assert request.path == "/v1/messages/count_tokens"
    assert request.body == body.replace(b"fast", b"up")
    asking.connection.answer(b'{"input_tokens": 7}')
    asking.opened[0].deliver(told := Told())
    assert told.batches == [b'{"input_tokens": 7}']
    body = b'{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}'
    dialect = evolve(GEMINI, decode_request=decode_gemini_count)
    asking = Asking(
        Asked(
            *(operation, dialect, open_object(body), "fast", False, answering),
            counting=GEMINI_COUNT,
        )
    )
    sent = json.loads(asking.connection.request().body)
    assert sent["model"] == "up"
    asking.connection.answer(b'{"input_tokens": 7}')
    asking.opened[0].deliver(told := Told())
    assert told.batches == [b'{"totalTokens":7}']


@pytest.mark.parametrize("dialect", [ANTHROPIC, evolve(ANTHROPIC, keepalive=b"")])
@pytest.mark.parametrize("stream", [False, True])
def test_bytes_go_through_both_ways_but_for_the_name(
    stream: bool, dialect: Any
) -> None:
    body = b'{"model": "fast",  "max_tokens": 9, "stream": %b, "unknown": 1.0}'
    body %= b"true" if stream else b"false"
    asked = Asked(
        Operation.CHAT,
        dialect,
        open_object(body),
        "fast",
        stream,
        Answering("fast", 0),
        headers=(BETA,),
    )
    asking = Asking(asked)
    connection = asking.connection
    request = connection.request()  # nothing is asked about the model
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.body == body.replace(b"fast", b"up")
    assert request.header("anthropic-beta") == ["some-beta-2026-01-01"]
    assert request.header("x-api-key") == ["sk-ant-1"]
    if stream:
        connection.begin()
        connection.chunk(STREAM)
        connection.finish()
    else:
        connection.answer(WHOLE)
    [reply] = asking.opened
    assert reply.passed
    assert isinstance(reply.reader, AnthropicTap if stream else WholeTap)
    reply.deliver(told := Told())
    assert told.batches == [STREAM if stream else WHOLE]
    assert told.ends == [None]
    assert reply.reader.finish == "end_turn"
    assert reply.reader.usage is not None
    assert reply.reader.usage.output_tokens == 2
