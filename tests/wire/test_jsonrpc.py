"""JSON-RPC messages, whatever is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.testing.strategies import json_values
from modelplex.wire.jsonrpc import (
    DEEPEST,
    INVALID_REQUEST,
    MOST,
    PARSE_ERROR,
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
    encode,
    parse,
    parse_all,
    to_json,
)

ids = st.integers() | st.text()
objects = st.dictionaries(st.text(max_size=5), json_values(), max_size=3)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Call, ids, st.text(), objects),
    st.builds(Note, st.text(), objects),
    st.builds(Answer, ids, json_values()),
    st.builds(Failure, ids | st.none(), st.integers(-33_000, 1), st.text()),
)


@given(messages)
def test_what_is_written_is_read_again(message: Message) -> None:
    assert parse(encode(message)) == message
    assert b"\n" not in encode(message)


@given(st.binary() | st.builds(to_json, json_values()))
def test_any_bytes_are_a_message_or_an_error(text: bytes) -> None:
    try:
        parse_all(text)
    except RpcError as e:
        assert e.rpc_code in (PARSE_ERROR, INVALID_REQUEST)


@pytest.mark.parametrize("id", [None, True, 1.5, [], {}])
def test_an_id_is_a_string_or_an_integer(id: Any) -> None:
    with pytest.raises(RpcError) as caught:
        parse(json.dumps({"jsonrpc": "2.0", "id": id, "method": "m"}).encode())
    assert caught.value.rpc_code == INVALID_REQUEST


def test_ids_keep_their_type() -> None:
    one, other = (
        parse(b'{"jsonrpc":"2.0","id":%b,"method":"m"}' % id) for id in (b"1", b'"1"')
    )
    assert one != other


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'{"id":1,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":1}',
        b'{"jsonrpc":"2.0","id":1,"error":"x"}',
    ],
)
def test_what_is_no_message_is_an_invalid_request(text: bytes) -> None:
    with pytest.raises(RpcError) as caught:
        parse(text)
    assert caught.value.rpc_code == INVALID_REQUEST


def test_a_batch_has_messages_and_not_too_many() -> None:
    note = b'{"jsonrpc":"2.0","method":"m"}'
    assert parse_all(b"[%b,%b]" % (note, note)) == [Note("m"), Note("m")]
    for many in (0, MOST + 1):
        with pytest.raises(RpcError):
            parse_all(b"[" + b",".join([note] * many) + b"]")


def nested(levels: int) -> bytes:
    # The message and its params are two levels themselves.
    inner = b"[" * (levels - 2) + b"]" * (levels - 2)
    wide = b"[],{}," * 200
    text = b'"a \\" [ { \\\\"'
    return b'{"jsonrpc":"2.0","method":"m","params":{"a":%b,"wide":[%b%b]}}' % (
        inner,
        wide,
        text,
    )


def test_nesting_is_bounded_and_brackets_in_strings_are_none() -> None:
    assert isinstance(parse(nested(DEEPEST)), Note)
    with pytest.raises(RpcError) as caught:
        parse(nested(DEEPEST + 1))
    assert caught.value.rpc_code == PARSE_ERROR


@pytest.mark.parametrize(
    "text", [b"[" * 3_000_000, b"[]," * 1_000_000, b'"' + b"\\" * 3_000_000]
)
def test_no_text_takes_long_to_refuse(text: bytes) -> None:
    with pytest.raises(RpcError) as caught:
        parse(b"[[[[" * 40 + text)
    assert caught.value.rpc_code == PARSE_ERROR


def test_half_a_surrogate_pair_is_told_as_it_came() -> None:
    assert json.loads(encode(Answer(1, "\ud83d")))["result"] == "\ud83d"
