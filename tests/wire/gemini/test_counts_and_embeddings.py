from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    BadRequest,
    UnsupportedField,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
)
from modelplex.events import Message, Request, Role, Text, Tool
from modelplex.testing.strategies import json_values
from modelplex.wire.embeddings import EmbeddingsReply, EmbeddingsRequest
from modelplex.wire.gemini.count_tokens import (
    decode_count_reply,
    decode_count_request,
    encode_count_reply,
    encode_count_request,
)
from modelplex.wire.gemini.embeddings import GEMINI_EMBED_CONTENT, GEMINI_EMBEDDINGS
from modelplex.wire.jsonobject import JsonObject, open_object

HI = (Message(Role.USER, (Text("Hi"),)),)


def opened(body: Any) -> JsonObject:
    return open_object(json.dumps(body).encode())


# --- countTokens ------------------------------------------------------------


def test_contents_alone_are_counted() -> None:
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    assert decode_count_request(opened(body)) == Request("", HI)


def test_a_whole_request_is_counted_with_its_system_prompt_and_tools() -> None:
    system = Message(Role.SYSTEM, (Text("s"),))
    request = Request("gemini-x", (system, *HI), tools=(Tool("f"),), user="u")
    encoded = encode_count_request(request)
    (whole,) = json.loads(encoded.body).values()
    assert whole["model"] == "models/gemini-x"
    assert encoded.dropped == ("user",)
    read = decode_count_request(open_object(encoded.body))
    assert (read.model, read.messages) == ("gemini-x", (system, *HI))
    assert read.tools == (Tool("f"),)


def test_a_tuned_model_is_counted_by_its_own_name() -> None:
    (whole,) = json.loads(
        encode_count_request(Request("tunedModels/a", HI)).body
    ).values()
    assert whole["model"] == "tunedModels/a"


def test_a_fault_inside_a_whole_request_has_its_path() -> None:
    body = {"generate_content_request": {"contents": [1]}}
    with pytest.raises(BadRequest) as caught:
        decode_count_request(opened(body))
    assert caught.value.param == "generate_content_request.contents[0]"


def test_a_count_goes_both_ways() -> None:
    assert decode_count_reply(encode_count_reply(7)) == 7
    assert decode_count_reply(b'{"totalTokens":3,"cachedContentTokenCount":1}') == 3


ERROR = b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}'


def test_an_error_in_place_of_a_count_is_that_error() -> None:
    with pytest.raises(UpstreamOverloaded):
        decode_count_reply(ERROR)


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"totalTokens":"x"}'])
def test_what_is_no_count_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        decode_count_reply(body)


# --- embeddings -------------------------------------------------------------


def item(text: str, **members: Any) -> dict[str, Any]:
    return {"model": "models/e", "content": {"parts": [{"text": text}]}, **members}


def test_a_batch_goes_both_ways() -> None:
    settings = {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 3}
    body = {"requests": [item("a", **settings), item("b", **settings)]}
    request = GEMINI_EMBEDDINGS.decode_request(opened(body))
    assert request == EmbeddingsRequest(
        "e", ("a", "b"), dimensions=3, extra={"taskType": "RETRIEVAL_QUERY"}
    )
    encoded = GEMINI_EMBEDDINGS.encode_request(request)
    assert json.loads(encoded.body) == body
    assert encoded.dropped == ()


def test_settings_may_stand_in_an_object_of_their_own() -> None:
    config = {"task_type": "X", "output_dimensionality": 3}
    body = {"requests": [item("a", embed_content_config=config)]}
    request = GEMINI_EMBEDDINGS.decode_request(opened(body))
    assert (request.dimensions, request.extra) == (3, {"taskType": "X"})


def test_one_content_is_one_text() -> None:
    body = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "title": "t"}
    request = GEMINI_EMBED_CONTENT.decode_request(opened(body))
    assert request == EmbeddingsRequest("", ("a\nb",), extra={"title": "t"})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [item("a"), 1]}, "requests[1]"),
        ({"requests": [item("a", content=1)]}, "requests[0].content"),
        ({"requests": [item("a"), item("b", outputDimensionality=1)]}, "requests[1]"),
        ({"requests": [item("a"), item("b", taskType="X")]}, "requests[1]"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        GEMINI_EMBEDDINGS.decode_request(opened(body))
    assert caught.value.param == param


@given(
    body=st.dictionaries(
        st.sampled_from(["requests", "model", "content", "taskType"]),
        st.one_of(
            json_values(),
            st.lists(
                st.dictionaries(st.sampled_from(["content", "title"]), json_values())
            ),
        ),
    )
)
def test_any_object_is_a_request_or_a_bad_one(body: Any) -> None:
    for dialect in (GEMINI_EMBEDDINGS, GEMINI_EMBED_CONTENT):
        try:
            dialect.decode_request(opened(body))
        except BadRequest as e:
            assert e.param


def test_what_gemini_does_not_embed_is_refused_or_dropped() -> None:
    with pytest.raises(UnsupportedField):
        GEMINI_EMBEDDINGS.encode_request(EmbeddingsRequest("e", ((1, 2),)))
    request = EmbeddingsRequest("e", ("a",), user="u", extra={"truncate": True})
    assert GEMINI_EMBEDDINGS.encode_request(request).dropped == ("user", "truncate")


REPLY = EmbeddingsReply("", ((0.5, -1.0), (2.0, 0.0)))
ASKED = EmbeddingsRequest("e", ("a", "b"))


def test_vectors_go_both_ways() -> None:
    body = GEMINI_EMBEDDINGS.encode_reply(REPLY, ASKED)
    assert GEMINI_EMBEDDINGS.decode_reply(body) == REPLY
    single = EmbeddingsReply("", REPLY.vectors[:1])
    body = GEMINI_EMBED_CONTENT.encode_reply(single, ASKED)
    assert json.loads(body) == {"embedding": {"values": [0.5, -1.0]}}
    assert GEMINI_EMBED_CONTENT.decode_reply(body) == single
    with pytest.raises(UpstreamMalformed):
        GEMINI_EMBED_CONTENT.encode_reply(REPLY, ASKED)


def test_tokens_are_read_where_they_are_told() -> None:
    body = b'{"embeddings":[],"usageMetadata":{"promptTokenCount":4}}'
    assert GEMINI_EMBEDDINGS.decode_reply(body).input_tokens == 4


def test_an_error_in_place_of_vectors_is_that_error() -> None:
    with pytest.raises(UpstreamOverloaded):
        GEMINI_EMBEDDINGS.decode_reply(ERROR)


@given(
    body=st.one_of(
        st.binary(max_size=20),
        json_values().map(lambda v: json.dumps(v).encode()),
        json_values().map(lambda v: json.dumps({"embeddings": v}).encode()),
    )
)
def test_any_body_gives_vectors_or_our_error(body: bytes) -> None:
    try:
        reply = GEMINI_EMBEDDINGS.decode_reply(body)
    except UpstreamError:
        return
    assert isinstance(reply, EmbeddingsReply)
