"""Whole replies and errors of Ollama, both ways."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex import errors
from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamDenied,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.events import (
    Finished,
    FinishReason,
    RedactedThinking,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.dialect import Answering
from modelplex.wire.ollama.dialect import OLLAMA

GOLDEN = Path(__file__).parent.parent / "golden" / "ollama"


def test_a_reply_full_of_everything_is_read() -> None:
    reply = OLLAMA.decode_reply((GOLDEN / "chat_reply.json").read_bytes())
    second = reply.parts[3]
    assert isinstance(second, ToolCall)
    assert second.id.startswith("call_")
    assert reply == Reply(
        "",
        "qwen3:8b",
        (
            Thinking("two tools"),
            Text("Let me see."),
            ToolCall("call_a", "look", '{"where":"left","depth":2.0}'),
            ToolCall(second.id, "weigh", "{}"),
        ),
        Finished(FinishReason.TOOL_CALLS),
        Usage(26, 290),
        (
            {
                "token": "Let",
                "logprob": -0.5,
                "bytes": [76, 101, 116],
                "top_logprobs": [{"token": "I", "logprob": -2.0, "bytes": None}],
            },
        ),
    )


def test_a_whole_custom_call_is_known_by_its_name() -> None:
    function = {"name": "sql-freeform", "arguments": {"input": "select 1"}}
    message = {"content": "", "tool_calls": [{"id": "a", "function": function}]}
    body = msgspec.json.encode({"model": "m", "message": message, "done": True})
    reply = OLLAMA.decode_reply(body)
    assert reply.parts == (ToolCall("a", "sql", "select 1", custom=True),)
    assert reply.finish.reason is FinishReason.TOOL_CALLS


def test_a_reply_full_of_everything_is_written() -> None:
    reply = Reply(
        "msg_1",
        "claude",
        (
            Thinking("hm", "c2ln"),
            RedactedThinking("x"),
            Text("I "),
            ToolCall("call_1", "f", '{"a":'),
            Refusal("cannot."),
        ),
        Finished(FinishReason.REFUSAL),
        Usage(9, 4, 2, 1, 3),
        ({"token": "I", "logprob": -0.5},),
    )
    assert OLLAMA.encode_reply(reply, Answering("alias", 60, id="x")) == (
        b'{"model":"alias","created_at":"1970-01-01T00:01:00Z","message":'
        b'{"role":"assistant","content":"I cannot.","thinking":"hm","tool_calls":'
        b'[{"id":"call_1","function":{"index":0,"name":"f","arguments":'
        b'{"_raw":"{\\"a\\":"}}}]},"done":true,"done_reason":"stop",'
        b'"prompt_eval_count":9,"eval_count":4,'
        b'"logprobs":[{"token":"I","logprob":-0.5}]}'
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", UpstreamCut),
        (b'{"model":"m","message":{"content":"H', UpstreamCut),
        (b'{"model":"m","message":{"content":"Hi"},"done":false}', UpstreamCut),
        (b"{}", UpstreamCut),
        (b"<html>", UpstreamMalformed),
        (b"[]", UpstreamMalformed),
        (b'{"message":1,"done":true}', UpstreamMalformed),
        (b'{"error":"out of memory"}', UpstreamOverloaded),
    ],
)
def test_what_is_no_complete_reply_is_an_error(
    body: bytes, error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        OLLAMA.decode_reply(body)


@given(body=st.one_of(st.binary(), json_values().map(msgspec.json.encode)))
def test_any_body_is_a_reply_or_our_error(body: bytes) -> None:
    with suppress(GatewayError):
        OLLAMA.decode_reply(body)
    assert isinstance(OLLAMA.decode_error(500, body), GatewayError)


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (400, '"m" does not support tools', UpstreamRejected),
        (400, '"m" does not support thinking', UpstreamRejected),
        (404, "model 'x' not found", UpstreamModelMissing),
        (404, 'model "x" not found, try pulling it first', UpstreamModelMissing),
        (401, "unauthorized", UpstreamDenied),
        (403, "cloud is disabled", UpstreamDenied),
        (429, "too many requests", UpstreamRateLimited),
        (500, "llama runner process has terminated", UpstreamOverloaded),
        (503, "server busy, please try again", UpstreamOverloaded),
    ],
)
def test_every_error_of_ollama_has_its_meaning(
    status: int, said: str, error: type[GatewayError]
) -> None:
    body = msgspec.json.encode({"error": said})
    found = OLLAMA.decode_error(status, body)
    assert type(found) is error
    if isinstance(found, UpstreamRejected):
        assert (found.message, found.body, found.status) == (said, body, status)
    if error is UpstreamDenied:
        assert said not in found.message


@pytest.mark.parametrize("body", [b"404 page not found", b"", b'{"error":null}', b"[]"])
def test_an_error_that_is_no_json_is_an_error_all_the_same(body: bytes) -> None:
    found = OLLAMA.decode_error(404, body)
    assert type(found) is UpstreamRejected
    assert found.message
    assert found.body == b""


def _every_error() -> list[type[GatewayError]]:
    known = [v for v in vars(errors).values() if isinstance(v, type)]
    return [c for c in known if issubclass(c, GatewayError)]


@pytest.mark.parametrize("kind", _every_error())
def test_every_error_is_a_status_and_a_sentence(kind: type[GatewayError]) -> None:
    rejected = issubclass(kind, UpstreamRejected)
    error = kind("it broke", status=422) if rejected else kind("it broke")
    status, body = OLLAMA.encode_error(error, "req_1")
    said = msgspec.json.decode(body, type=dict[str, str])["error"]
    assert status == error.status
    assert said == ("it broke (request req_1)" if kind is GatewayError else "it broke")
