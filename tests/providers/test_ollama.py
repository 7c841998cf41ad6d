"""What is sent to Ollama, and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred

from modelplex.providers.ollama import OllamaPlanner
from modelplex.providers.plan import Plan
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.embeddings import (
    OLLAMA_EMBEDDINGS,
    OPENAI_EMBEDDINGS,
    EmbeddingsDialect,
)
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.ollama.tap import OllamaTap
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.reading import EventReader
from modelplex.wire.tap import WholeTap


async def planned(
    body: bytes,
    dialect: Dialect,
    operation: Operation = Operation.CHAT,
    *,
    stream: bool = False,
    embeddings: EmbeddingsDialect | None = None,
) -> Plan:
    asked = Asked(
        operation,
        dialect,
        open_object(body),
        "fast",
        stream,
        Answering("fast", 0),
        embeddings=embeddings,
    )
    return await Deferred.fromCoroutine(OllamaPlanner(1000)(asked, "up"))


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        (OLLAMA, "/api/chat"),
        (evolve(OLLAMA, media_type=b"x"), "/api/chat"),
        (OLLAMA_GENERATE, "/api/generate"),
    ],
)
async def test_a_request_is_passed_on_as_it_is_and_says_if_it_does_not_stream(
    dialect: Dialect, path: str
) -> None:
    plan = await planned(b'{"model": "fast", "x": 1.0}', dialect, stream=True)
    assert (plan.path, plan.body) == (path, b'{"model": "up", "x": 1.0}')
    assert (plan.passed, plan.streamed) == (True, True)
    assert isinstance(plan.reader, OllamaTap)
    for said in (b"", b', "stream": false'):
        body = b'{"model": "fast", "x": 1.0' + said + b"}"
        plan = await planned(body, dialect)
        assert plan.path == path
        assert json.loads(plan.body) == {"model": "up", "x": 1.0, "stream": False}
        assert (plan.passed, plan.streamed) == (True, False)
        assert isinstance(plan.reader, WholeTap)


@pytest.mark.parametrize(
    ("dialect", "operation", "body", "path"),
    [
        (
            *(OPENAI_CHAT, Operation.CHAT),
            {"messages": [{"role": "user", "content": "Hi"}]},
            "/api/chat",
        ),
        (OPENAI_COMPLETIONS, Operation.COMPLETIONS, {"prompt": "Hi"}, "/api/generate"),
    ],
)
async def test_another_dialect_is_translated_and_always_streamed(
    dialect: Dialect, operation: Operation, body: dict[str, Any], path: str
) -> None:
    text = json.dumps({"model": "fast", **body}).encode()
    plan = await planned(text, dialect, operation)
    assert plan.path == path
    assert json.loads(plan.body)["model"] == "up"
    assert isinstance(plan.reader, EventReader)
    assert (plan.passed, plan.streamed) == (False, True)


async def test_embeddings_are_translated_for_others_and_passed_on_for_its_own() -> None:
    reply = b'{ "embeddings": [[1, 2]], "prompt_eval_count": 3 }'
    operation, body = Operation.EMBEDDINGS, b'{"model": "fast", "input": "a", "x": 1}'
    plan = await planned(body, OPENAI_CHAT, operation, embeddings=OPENAI_EMBEDDINGS)
    assert json.loads(plan.body) == {"model": "up", "input": ["a"]}
    assert plan.dropped == ("x",)
    plan.reader.feed(reply)
    told = plan.reader.eof()
    assert isinstance(told, bytes)
    assert json.loads(told)["data"][0]["embedding"] == [1.0, 2.0]
    plan = await planned(body, OLLAMA, operation, embeddings=OLLAMA_EMBEDDINGS)
    assert plan.path == "/api/embed"
    assert plan.body == b'{"model": "up", "input": "a", "x": 1}'
    plan.reader.feed(reply)
    assert plan.reader.eof() == reply
