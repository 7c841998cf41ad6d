"""What is sent to Gemini, and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from modelplex.config import Provider
from modelplex.errors import (
    BadRequest,
    UnknownModel,
    UnsupportedField,
    UpstreamDenied,
    UpstreamMalformed,
)
from modelplex.graph import providers_of
from modelplex.outbound.address import parse
from modelplex.providers.gemini import (
    MODELS_PATH,
    VERSION,
    GeminiPlanner,
    headers,
    model_names,
)
from modelplex.providers.plan import Plan
from modelplex.secret import Secret
from modelplex.testing.memory.upstream import Upstreams
from modelplex.wire.anthropic.count_tokens import ANTHROPIC_COUNT, decode_count_request
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.embeddings import OPENAI_EMBEDDINGS, EmbeddingsDialect
from modelplex.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from modelplex.wire.gemini.embeddings import GEMINI_EMBED_CONTENT, GEMINI_EMBEDDINGS
from modelplex.wire.gemini.tap import GeminiTap
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.reading import EventReader
from modelplex.wire.reasoning import ReasoningMemory
from modelplex.wire.tap import WholeTap

CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
CHUNK = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]},'
    b'"finishReason":"STOP"}]}\r\n\r\n'
)


async def planned(
    body: bytes | dict[str, Any],
    dialect: Dialect = GEMINI,
    *,
    stream: bool = False,
    model: str = "gemini-x",
    operation: Operation = Operation.CHAT,
    embeddings: EmbeddingsDialect | None = None,
    changes: dict[str, bytes | None] | None = None,
    **more: Any,
) -> Plan:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = Asked(
        operation,
        dialect,
        open_object(text),
        "fast",
        stream,
        Answering("fast", 0),
        changes=changes or {},
        embeddings=embeddings,
        **more,
    )
    return await Deferred.fromCoroutine(GeminiPlanner(1000)(asked, model))


# A guest that speaks it


@pytest.mark.parametrize("dialect", [GEMINI, GEMINI_ARRAY])
@pytest.mark.parametrize(
    ("stream", "path"),
    [
        (False, "/models/gemini-x:generateContent"),
        (True, "/models/gemini-x:streamGenerateContent?alt=sse"),
    ],
)
async def test_a_request_is_passed_on_as_it_is(
    stream: bool, path: str, dialect: Dialect
) -> None:
    body = b'{ "contents" : [], "unknown": 1.0 }'
    plan = await planned(body, dialect, stream=stream)
    assert (plan.path, plan.body) == (path, body)
    assert (plan.passed, plan.streamed) == (True, stream)
    assert isinstance(plan.reader, GeminiTap if stream else WholeTap)


async def test_a_model_in_the_body_is_taken_out_and_policy_is_kept() -> None:
    plan = await planned(
        {"model": "models/fast", "contents": [], "tools": [1], "labels": {}},
        changes={"tools": None, "labels": b'{"a":"b"}'},
    )
    assert json.loads(plan.body) == {"contents": [], "labels": {"a": "b"}}


async def test_each_form_of_a_stream_is_answered_in_that_form() -> None:
    plan = await planned({"contents": CONTENTS}, stream=True)
    assert plan.reader.feed(CHUNK) == CHUNK
    plan = await planned({"contents": CONTENTS}, GEMINI_ARRAY, stream=True)
    told = plan.reader.feed(CHUNK), plan.reader.eof()
    assert all(isinstance(one, bytes) for one in told)
    [item] = json.loads(b"".join(told))  # type: ignore[arg-type]
    assert item["candidates"][0]["finishReason"] == "STOP"


# Another dialect


async def test_another_dialect_is_translated_and_always_streamed() -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
    plan = await planned(body, OPENAI_CHAT)
    assert plan.path == "/models/gemini-x:streamGenerateContent?alt=sse"
    assert json.loads(plan.body) == {"contents": CONTENTS}
    assert isinstance(plan.reader, EventReader)
    assert (plan.passed, plan.streamed) == (False, True)


async def test_what_a_model_takes_is_told_by_its_name_at_the_provider() -> None:
    body = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Hi"}],
        "reasoning_effort": "low",
    }
    older = await planned(body, OPENAI_CHAT, model="gemini-2.5-flash")
    newer = await planned(body, OPENAI_CHAT, model="gemini-3-pro")
    thinking = [
        json.loads(plan.body)["generationConfig"]["thinkingConfig"]
        for plan in (older, newer)
    ]
    assert "thinkingBudget" in thinking[0] and "thinkingLevel" not in thinking[0]
    assert thinking[1]["thinkingLevel"] == "LOW"


# Names


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-x", "/models/gemini-x"),
        ("tunedModels/mine", "/tunedModels/mine"),
        ("a b:c@d", "/models/a%20b%3Ac%40d"),
        ("a/b", "/models/a/b"),
    ],
)
async def test_a_name_stands_in_the_path_quoted(model: str, path: str) -> None:
    plan = await planned({"contents": []}, model=model)
    assert plan.path == f"{path}:generateContent"


_LEADING = {"", ".", "..", "%2e", "a\\b"}


@given(st.lists(st.sampled_from([*sorted(_LEADING), "a", "models"]), min_size=1))
async def test_no_name_leads_elsewhere(segments: list[str]) -> None:
    model = "/".join(segments)
    for operation in (Operation.CHAT, Operation.EMBEDDINGS):
        try:
            plan = await planned({}, model=model, operation=operation)
        except UnknownModel:
            assert _LEADING & set(segments)
        except BadRequest:  # by then the name was found good
            assert operation is Operation.EMBEDDINGS
            assert not _LEADING & set(segments)
        else:
            assert "/./" not in plan.path and "/../" not in plan.path
            assert not _LEADING & set(segments)


def test_the_url_has_the_version_once_and_keeps_a_query() -> None:
    path = "/models/m:streamGenerateContent?alt=sse"
    for base_url in ("https://g.example", "https://g.example/v1beta/"):
        found = parse(base_url, VERSION).url(path)
        assert found == f"https://g.example/v1beta{path}"
    other = parse("https://g.example/v1?a=b", VERSION)
    assert other.url(path) == f"https://g.example/v1{path}&a=b"
    assert other.url(MODELS_PATH) == "https://g.example/v1/models?pageSize=1000&a=b"


# Embeddings


async def embedded(
    body: dict[str, Any], embeddings: EmbeddingsDialect | None, model: str = "up"
) -> Plan:
    return await planned(
        body,
        OPENAI_CHAT if embeddings in (None, OPENAI_EMBEDDINGS) else GEMINI,
        model=model,
        operation=Operation.EMBEDDINGS,
        embeddings=embeddings,
    )


@pytest.mark.parametrize("embeddings", [None, OPENAI_EMBEDDINGS])
async def test_embeddings_of_another_dialect_are_a_batch(
    embeddings: EmbeddingsDialect | None,
) -> None:
    body = {"model": "fast", "input": ["a", "b"], "dimensions": 2, "user": "u"}
    plan = await embedded(body, embeddings)
    assert plan.path == "/models/up:batchEmbedContents"
    assert plan.dropped == ("user",)
    assert json.loads(plan.body)["requests"] == [
        {
            "model": "models/up",
            "content": {"parts": [{"text": text}]},
            "outputDimensionality": 2,
        }
        for text in "ab"
    ]
    plan.reader.feed(b'{"embeddings":[{"values":[1,2]},{"values":[3,4]}]}')
    said = plan.reader.eof()
    assert isinstance(said, bytes)
    answer = json.loads(said)
    assert [row["embedding"] for row in answer["data"]] == [[1.0, 2.0], [3.0, 4.0]]
    assert answer["model"] == "fast"


async def test_tokens_cannot_be_embedded() -> None:
    with pytest.raises(UnsupportedField):
        await embedded({"model": "m", "input": [1, 2]}, OPENAI_EMBEDDINGS)


async def test_its_own_embeddings_are_passed_on_by_the_providers_name() -> None:
    one = {"model": "models/fast", "content": {"parts": [{"text": "a"}]}, "x": 1}
    plan = await embedded(one, GEMINI_EMBED_CONTENT)
    assert plan.path == "/models/up:embedContent"
    assert json.loads(plan.body) == {**one, "model": "models/up"}
    requests: list[dict[str, Any]] = [one, {**one, "taskType": "RETRIEVAL_QUERY"}]
    batch = {"requests": requests, "y": 2}
    plan = await embedded(batch, GEMINI_EMBEDDINGS, "tunedModels/up")
    assert plan.path == "/tunedModels/up:batchEmbedContents"
    assert json.loads(plan.body) == {
        "requests": [{**r, "model": "tunedModels/up"} for r in requests],
        "y": 2,
    }
    reply = b'{ "embeddings": [{"values": [1]}] }'
    plan.reader.feed(reply)
    assert plan.reader.eof() == reply


# Counting


async def test_what_is_counted_is_passed_on_by_the_providers_name() -> None:
    operation = Operation.COUNT_TOKENS
    short = await planned({"contents": CONTENTS, "x": 1}, operation=operation)
    assert short.path == "/models/gemini-x:countTokens"
    assert json.loads(short.body) == {"contents": CONTENTS, "x": 1}
    whole = {"model": "models/fast", "contents": CONTENTS, "y": 2}
    plan = await planned({"generateContentRequest": whole}, operation=operation)
    assert json.loads(plan.body) == {
        "generateContentRequest": {**whole, "model": "models/gemini-x"}
    }
    policed = await planned(
        {"generateContentRequest": whole},
        operation=operation,
        changes={"generateContentRequest": b'{"z":3}'},
    )
    assert json.loads(policed.body) == {
        "generateContentRequest": {"z": 3, "model": "models/gemini-x"}
    }
    reply = b'{ "totalTokens": 7 }'
    plan.reader.feed(reply)
    assert plan.reader.eof() == reply


async def test_another_dialect_is_told_the_count_in_its_own_words() -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
    plan = await planned(
        body,
        evolve(ANTHROPIC, decode_request=decode_count_request),
        operation=Operation.COUNT_TOKENS,
        counting=ANTHROPIC_COUNT,
    )
    assert plan.path == "/models/gemini-x:countTokens"
    assert json.loads(plan.body)["generateContentRequest"]["contents"] == CONTENTS
    plan.reader.feed(b'{"totalTokens":7}')
    assert plan.reader.eof() == b'{"input_tokens":7}'


async def test_a_proof_is_noted_while_it_passes() -> None:
    part = {"text": "Hi", "thoughtSignature": "c2ln"}
    chunk = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    data = json.dumps(chunk).encode()
    for stream in (True, False):
        memory = ReasoningMemory()
        plan = await planned({"contents": []}, stream=stream, reasoning=memory)
        plan.reader.feed(b"data: " + data + b"\r\n\r\n" if stream else data)
        plan.reader.eof()
        foreign = memory.others_wrote("somebody else")
        assert foreign is not None and foreign("c2ln")


# Models


async def test_it_is_asked_for_its_models_with_the_key_in_a_header() -> None:
    reactor: Any = MemoryReactorClock()
    upstreams = Upstreams(reactor)
    base_url, key = "http+unix://%2Fup", Secret("AI-1")
    config = Provider(name="g", type="gemini", base_url=base_url, api_keys=(key,))
    [provider] = providers_of(config, reactor, 1000)
    listed: list[Any] = []
    Deferred.fromCoroutine(provider.list_models()).addBoth(listed.append)
    connection = upstreams.accept("/up")
    request = connection.request()
    assert request.path == "/v1beta/models?pageSize=1000"
    assert request.header("x-goog-api-key") == ["AI-1"]
    reason = {"@type": "x", "reason": "API_KEY_INVALID"}
    said = {"error": {"code": 400, "message": "no AI-1", "details": [reason]}}
    connection.answer(json.dumps(said).encode(), 400)
    [failure] = listed
    assert failure.check(UpstreamDenied)
    assert failure.value.told_operator == "401 no ***"


def test_the_models_that_can_generate_or_embed() -> None:
    def listed(name: str, *methods: str) -> dict[str, Any]:
        return {"name": f"models/{name}", "supportedGenerationMethods": methods}

    models = [
        listed("gemini-x", "generateContent", "countTokens"),
        listed("embedding", "embedContent"),
        listed("imagen", "predict"),
        {"name": "models/unclear"},
        listed("batch", "batchEmbedContents"),
    ]
    body = json.dumps({"models": models, "nextPageToken": "t"}).encode()
    assert model_names(body) == ["gemini-x", "embedding", "batch"]
    assert model_names(b"{}") == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"models":[{}]}', b"<html>", b"\xff"])
def test_a_list_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        model_names(body)


def test_the_key_stands_in_a_header() -> None:
    assert headers(None) == headers("") == []
    assert headers("AI-1") == [(b"x-goog-api-key", b"AI-1")]
