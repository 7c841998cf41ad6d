"""What is sent to an OpenAI API, and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred

from modelplex.errors import BadRequest, UpstreamMalformed
from modelplex.providers.openai import OpenAIPlanner, headers, model_names
from modelplex.providers.plan import Plan
from modelplex.wire.anthropic.count_tokens import ANTHROPIC_COUNT
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.embeddings import OLLAMA_EMBEDDINGS, EmbeddingsDialect
from modelplex.wire.gemini.embeddings import GEMINI_EMBED_CONTENT
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.openai.tap import StreamTap
from modelplex.wire.reading import EventReader
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.tap import ResponsesTap
from modelplex.wire.tap import WholeTap

MESSAGES = [{"role": "user", "content": "Hi"}]


async def planned(
    body: dict[str, Any],
    operation: Operation = Operation.CHAT,
    dialect: Dialect = OPENAI_CHAT,
    *,
    stream_usage: bool = True,
    responses: bool = False,
    **more: Any,
) -> Plan:
    opened = open_object(json.dumps({"model": "fast", **body}).encode())
    wants = (body.get("stream_options") or {}).get("include_usage", False)
    stream = bool(body.get("stream"))
    answering = Answering("fast", 0, include_usage=wants)
    asked = Asked(operation, dialect, opened, "fast", stream, answering, **more)
    planner = OpenAIPlanner(stream_usage, 1000, responses)
    return await Deferred.fromCoroutine(planner(asked, "up"))


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (Operation.CHAT, "/chat/completions"),
        (Operation.EMBEDDINGS, "/embeddings"),
    ],
)
async def test_a_request_is_passed_on_as_it_is(operation: Operation, path: str) -> None:
    plan = await planned({"unknown": {"x": 1.0}}, operation)
    assert plan.body == b'{"model": "up", "unknown": {"x": 1.0}}'
    assert (plan.path, plan.passed, plan.streamed) == (path, True, False)
    assert isinstance(plan.reader, WholeTap)


@pytest.mark.parametrize(
    ("options", "sent", "hidden"),
    [
        (None, {"include_usage": True}, True),
        ({}, {"include_usage": True}, True),
        ({"include_usage": False}, {"include_usage": True}, True),
        (
            {"include_obfuscation": False},
            {"include_obfuscation": False, "include_usage": True},
            True,
        ),
        ({"include_usage": True, "x": 1}, {"include_usage": True, "x": 1}, False),
    ],
)
async def test_usage_is_asked_for_and_hidden_from_a_guest_that_did_not_ask(
    options: Any, sent: Any, hidden: bool
) -> None:
    bodies: list[dict[str, Any]] = [{"stream": True, "stream_options": options}]
    if options is None:
        bodies.append({"stream": True})
    for body in bodies:
        plan = await planned(body)
        assert json.loads(plan.body)["stream_options"] == sent
        assert isinstance(plan.reader, StreamTap)
        assert plan.reader.hide_usage is hidden
        assert plan.streamed


async def test_a_server_that_refuses_stream_options_is_sent_none() -> None:
    plan = await planned({"stream": True}, stream_usage=False)
    assert plan.body == b'{"model": "up", "stream": true}'
    assert isinstance(plan.reader, StreamTap)
    assert not plan.reader.hide_usage


async def test_stream_options_that_can_be_read_in_two_ways_are_refused() -> None:
    body = open_object(b'{"stream_options":{"include_usage":false,"a":1,"a":2}}')
    asked = Asked(
        Operation.CHAT, OPENAI_CHAT, body, "m", True, Answering("m", 0, False)
    )
    with pytest.raises(BadRequest):
        await Deferred.fromCoroutine(OpenAIPlanner(True, 1000)(asked, "up"))


async def test_another_dialect_is_translated_and_always_streamed() -> None:
    plan = await planned({"max_tokens": 5, "messages": MESSAGES}, dialect=ANTHROPIC)
    assert json.loads(plan.body)["model"] == "up"
    assert json.loads(plan.body)["stream"] is True
    assert isinstance(plan.reader, EventReader)
    assert (plan.passed, plan.streamed) == (False, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_variant_of_a_dialect_is_that_dialect(stream: bool) -> None:
    variant = evolve(OPENAI_CHAT, media_type=b"x")
    plan = await planned({"stream": stream, "unknown": 1}, dialect=variant)
    assert plan.passed
    assert json.loads(plan.body)["unknown"] == 1


# The Responses API


@pytest.mark.parametrize(
    ("stream", "reader"), [(False, WholeTap), (True, ResponsesTap)]
)
async def test_a_response_is_passed_on_as_it_is_where_they_are_asked_for(
    stream: bool, reader: type
) -> None:
    body = {"stream": stream, "input": "Hi", "unknown": {"x": 1.0}}
    plan = await planned(body, dialect=RESPONSES, responses=True)
    assert json.loads(plan.body) == {**body, "model": "up"}
    assert (plan.path, plan.passed, plan.streamed) == ("/responses", True, stream)
    assert isinstance(plan.reader, reader)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_is_asked_for_as_a_response_that_leaves_nothing_behind(
    stream: bool,
) -> None:
    body = {"stream": stream, "messages": MESSAGES}
    plan = await planned(body, responses=True)
    sent = json.loads(plan.body)
    assert (plan.path, sent["model"]) == ("/responses", "up")
    assert (sent["store"], sent["stream"]) == (False, True)
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert isinstance(plan.reader, EventReader)
    assert (plan.passed, plan.streamed) == (False, True)


async def test_a_response_is_asked_for_as_a_chat_where_there_are_only_chats() -> None:
    plan = await planned({"input": "Hi"}, dialect=RESPONSES)
    sent = json.loads(plan.body)
    assert plan.path == "/chat/completions"
    assert sent["messages"] == MESSAGES
    assert isinstance(plan.reader, EventReader)


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (Operation.COMPLETIONS, "/completions"),
        (Operation.EMBEDDINGS, "/embeddings"),
    ],
)
async def test_what_is_no_chat_is_asked_for_as_ever(
    operation: Operation, path: str
) -> None:
    body = {"prompt": "a", "input": "b"}
    plan = await planned(body, operation, OPENAI_COMPLETIONS, responses=True)
    assert (plan.path, plan.passed) == (path, True)
    assert json.loads(plan.body) == {**body, "model": "up"}


async def test_what_is_counted_is_passed_on_or_translated() -> None:
    operation, body = Operation.COUNT_TOKENS, {"input": "Hi", "unknown": 1}
    plan = await planned(body, operation, RESPONSES, responses=True)
    assert plan.path == "/responses/input_tokens"
    assert json.loads(plan.body) == {**body, "model": "up"}
    plan.reader.feed(b'{"object":"x","input_tokens":7}')
    assert plan.reader.eof() == b'{"object":"x","input_tokens":7}'
    plan = await planned(
        {"messages": MESSAGES, "max_tokens": 1},
        operation,
        ANTHROPIC,
        responses=True,
        counting=ANTHROPIC_COUNT,
    )
    assert json.loads(plan.body)["model"] == "up"
    plan.reader.feed(b'{"object":"x","input_tokens":7}')
    assert plan.reader.eof() == b'{"input_tokens":7}'


# Embeddings


@pytest.mark.parametrize(
    ("dialect", "body", "answer"),
    [
        (OLLAMA_EMBEDDINGS, {"input": "a"}, {"embeddings": [[1.0, 2.0]]}),
        (
            GEMINI_EMBED_CONTENT,
            {"content": {"parts": [{"text": "a"}]}},
            {"embedding": {"values": [1.0, 2.0]}},
        ),
    ],
)
async def test_embeddings_of_another_dialect_are_translated(
    dialect: EmbeddingsDialect, body: dict[str, Any], answer: dict[str, Any]
) -> None:
    plan = await planned(body, Operation.EMBEDDINGS, embeddings=dialect)
    sent = json.loads(plan.body)
    assert (plan.path, sent["model"], sent["input"]) == ("/embeddings", "up", ["a"])
    plan.reader.feed(b'{"data":[{"index":0,"embedding":[1,2]}]}')
    said = plan.reader.eof()
    assert isinstance(said, bytes)
    assert json.loads(said).items() >= answer.items()


def test_the_models_of_a_server() -> None:
    body = b'{"object":"list","data":[{"id":"a","x":1},{"id":"b/c"}]}'
    assert model_names(body) == ["a", "b/c"]
    for wrong in (b"", b"{}", b'{"data":[{}]}', b"<html>", b'{"data":null}'):
        with pytest.raises(UpstreamMalformed):
            model_names(wrong)


def test_a_local_server_needs_no_key() -> None:
    assert headers(None) == headers("") == []
    assert headers("sk-1") == [(b"authorization", b"Bearer sk-1")]
