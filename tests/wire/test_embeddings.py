"""Embeddings of OpenAI and Ollama, both ways."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    BadRequest,
    GatewayError,
    UnsupportedField,
    UpstreamMalformed,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.embeddings import (
    OLLAMA_EMBEDDINGS,
    OPENAI_EMBEDDINGS,
    EmbeddingsDialect,
    EmbeddingsReply,
    EmbeddingsRequest,
)
from modelplex.wire.jsonobject import open_object

GOLDEN = Path(__file__).parent / "golden" / "ollama"
dialects = st.sampled_from([OPENAI_EMBEDDINGS, OLLAMA_EMBEDDINGS])
replies = st.builds(
    EmbeddingsReply,
    st.just("m"),
    st.lists(
        st.lists(st.floats(-1, 1, width=32), max_size=4).map(tuple), max_size=3
    ).map(tuple),
    st.integers(0, 9000),
)


def decode(dialect: EmbeddingsDialect, **body: Any) -> EmbeddingsRequest:
    return dialect.decode_request(open_object(msgspec.json.encode(body)))


# --- requests ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", ("a",)),
        ("", ("",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_every_input_of_openai_is_read(given: Any, expected: Any) -> None:
    assert decode(OPENAI_EMBEDDINGS, model="m", input=given) == EmbeddingsRequest(
        "m", expected
    )


def test_every_member_of_openai_is_read_and_written() -> None:
    body = {
        "model": "m",
        "input": ["a"],
        "encoding_format": "base64",
        "dimensions": 256,
        "user": "u",
    }
    request = decode(OPENAI_EMBEDDINGS, **body, input_type="query")
    assert request == EmbeddingsRequest(
        "m", ("a",), "base64", 256, "u", {"input_type": "query"}
    )
    encoded = OPENAI_EMBEDDINGS.encode_request(request)
    assert msgspec.json.decode(encoded.body) == body
    assert encoded.dropped == ("input_type",)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "input"),
        ({"model": "m", "input": None}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": ["a", 1]}, "input"),
        ({"model": "m", "input": [[1], "a"]}, "input"),
        ({"model": "m", "input": [True]}, "input"),
        ({"model": "m", "input": [["a"]]}, "input"),
        ({"input": "a"}, "model"),
        ({"model": 1, "input": "a"}, "model"),
        ({"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"model": "m", "input": "a", "dimensions": "8"}, "dimensions"),
        ({"model": "m", "input": "a", "user": 1}, "user"),
    ],
)
def test_a_wrong_value_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(OPENAI_EMBEDDINGS, **body)
    assert refused.value.param == param


def test_what_the_official_ollama_client_sends_is_read_and_written() -> None:
    sent = (GOLDEN / "client_embed_request.json").read_bytes()
    request = OLLAMA_EMBEDDINGS.decode_request(open_object(sent))
    assert request == EmbeddingsRequest(
        "nomic",
        ("a", "b"),
        dimensions=3,
        extra={"truncate": False, "keep_alive": 5.0},
    )
    encoded = OLLAMA_EMBEDDINGS.encode_request(request)
    assert msgspec.json.decode(encoded.body) == msgspec.json.decode(sent)
    assert encoded.dropped == ()
    assert OPENAI_EMBEDDINGS.encode_request(request).dropped == (
        "truncate",
        "keep_alive",
    )


@pytest.mark.parametrize("x", ["\ud800", "deep"])
def test_what_json_cannot_say_is_refused(x: str) -> None:
    nested: list[Any] = []
    for _ in range(3000):
        nested = [nested]
    request = EmbeddingsRequest("m", (x,), extra={"options": nested})
    with pytest.raises(BadRequest, match="JSON"):
        OLLAMA_EMBEDDINGS.encode_request(request)


def test_what_is_left_out_is_not_written() -> None:
    encoded = OPENAI_EMBEDDINGS.encode_request(EmbeddingsRequest("m", ("a",)))
    assert encoded.body == b'{"model":"m","input":["a"],"encoding_format":"float"}'


@pytest.mark.parametrize(("given", "expected"), [("a", ("a",)), (None, ()), ([], ())])
def test_ollama_takes_one_text_or_none(given: Any, expected: tuple[str, ...]) -> None:
    assert decode(OLLAMA_EMBEDDINGS, model="m", input=given).input == expected


def test_openais_hints_are_dropped_for_ollama_and_listed() -> None:
    request = EmbeddingsRequest("m", ("a",), "base64", user="u", extra={"x": 1})
    encoded = OLLAMA_EMBEDDINGS.encode_request(request)
    assert encoded.body == b'{"model":"m","input":["a"]}'
    assert encoded.dropped == ("user", "x")


def test_ollama_takes_no_tokens() -> None:
    with pytest.raises(UnsupportedField) as refused:
        OLLAMA_EMBEDDINGS.encode_request(EmbeddingsRequest("m", ((1, 2),)))
    assert refused.value.param == "input"


@given(
    dialect=dialects,
    body=st.dictionaries(
        st.sampled_from(["model", "input", "dimensions", "user", "options", "x"]),
        st.one_of(json_values(), st.just("m"), st.lists(json_values(2))),
    ),
)
def test_any_object_is_a_request_or_a_bad_request(
    dialect: EmbeddingsDialect, body: dict[str, Any]
) -> None:
    try:
        request = decode(dialect, **body)
        dialect.encode_request(request)
    except BadRequest as e:
        assert e.message


# --- replies ----------------------------------------------------------------


def test_a_reply_of_openai_is_written_in_full() -> None:
    reply = EmbeddingsReply("provider's", ((0.5, -1.0),), 3)
    assert OPENAI_EMBEDDINGS.encode_reply(reply, EmbeddingsRequest("m", ("a",))) == (
        b'{"object":"list","data":[{"object":"embedding","index":0,'
        b'"embedding":[0.5,-1.0]}],"model":"m",'
        b'"usage":{"prompt_tokens":3,"total_tokens":3}}'
    )


def test_base64_is_answered_when_it_was_asked_for() -> None:
    reply = EmbeddingsReply("m", ((0.5, -1.0),))
    asked = EmbeddingsRequest("m", ("a",), "base64")
    wire = OPENAI_EMBEDDINGS.encode_reply(reply, asked)
    assert OPENAI_EMBEDDINGS.decode_reply(wire) == reply
    written = msgspec.json.decode(wire)
    packed = b64decode(written["data"][0]["embedding"])
    assert packed == b"\0\0\0\x3f\0\0\x80\xbf"  # IEEE 754, little-endian


def test_rows_are_put_in_order_and_missing_usage_is_zero() -> None:
    rows = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    body = msgspec.json.encode({"data": rows})
    expected = EmbeddingsReply("", ((0.0,), (1.0,)))
    assert OPENAI_EMBEDDINGS.decode_reply(body) == expected


@given(
    dialect=dialects,
    reply=replies,
    encoding=st.sampled_from(["float", "base64"]),
)
def test_a_reply_comes_back_as_it_was_written(
    dialect: EmbeddingsDialect, reply: EmbeddingsReply, encoding: Any
) -> None:
    asked = EmbeddingsRequest("m", ("a",), encoding)
    assert dialect.decode_reply(dialect.encode_reply(reply, asked)) == reply


@pytest.mark.parametrize(
    "packed",
    [
        "no base64!",
        "AAA=",
        "ü",
        b64encode(struct.pack("<f", float("nan"))).decode(),
        b64encode(struct.pack("<f", float("inf"))).decode(),
    ],
)
def test_a_broken_vector_is_malformed(packed: str) -> None:
    body = msgspec.json.encode({"data": [{"embedding": packed}]})
    with pytest.raises(UpstreamMalformed):
        OPENAI_EMBEDDINGS.decode_reply(body)


def test_a_number_beyond_float32_cannot_be_packed() -> None:
    asked = EmbeddingsRequest("m", ("a",), "base64")
    with pytest.raises(UpstreamMalformed):
        OPENAI_EMBEDDINGS.encode_reply(EmbeddingsReply("m", ((1e300,),)), asked)


@given(
    dialect=dialects,
    body=st.one_of(st.binary(), json_values().map(msgspec.json.encode)),
)
def test_any_body_is_a_reply_or_our_error(
    dialect: EmbeddingsDialect, body: bytes
) -> None:
    try:
        dialect.decode_reply(body)
    except GatewayError as e:
        assert type(e) is UpstreamMalformed
