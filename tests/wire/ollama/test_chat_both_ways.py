"""Requests of ``/api/chat``, written and read again."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import evolve
from hypothesis import given

from modelplex.errors import GatewayError
from modelplex.events import (
    Message,
    Request,
    Role,
    Text,
    ToolResult,
)
from modelplex.testing.strategies import requests, wild_messages
from modelplex.wire.fidelity import Feature
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA


def decode(**body: Any) -> Request:
    whole = {"model": "m", "messages": []} | body
    return OLLAMA.decode_request(open_object(msgspec.json.encode(whole)))


def encode(*messages: Message, **settings: Any) -> dict[str, Any]:
    encoded = OLLAMA.encode_request(Request("m", messages, **settings))
    body: dict[str, Any] = msgspec.json.decode(encoded.body)
    return body


_CARRIED = frozenset(
    (
        Feature.SYSTEM_IN_PLACE,
        Feature.TOOLS,
        Feature.JSON_OBJECT,
        Feature.JSON_SCHEMA,
        Feature.THINKING_BLOCKS,
        Feature.REASONING_EFFORT,
        Feature.MAX_TOKENS,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.TOP_K,
        Feature.MIN_P,
        Feature.STOP,
        Feature.SEED,
        Feature.PRESENCE_PENALTY,
        Feature.FREQUENCY_PENALTY,
        Feature.LOGPROBS,
    )
)


def _plain(request: Request) -> Request:
    """The same with one text a message and one result a message."""
    messages: list[Message] = []
    for message in request.messages:
        if message.role is Role.TOOL:
            for result in message.parts:
                assert isinstance(result, ToolResult)
                text = "\n\n".join(
                    p.text for p in result.content if isinstance(p, Text)
                )
                content = (Text(text),) if text else ()
                messages.append(
                    Message(Role.TOOL, (ToolResult(result.call_id, content),))
                )
        elif message.role is Role.ASSISTANT:
            messages.append(message)
        else:
            text = "\n\n".join(p.text for p in message.parts if isinstance(p, Text))
            messages.append(Message(message.role, (Text(text),)))
    return evolve(request, messages=tuple(messages), tool_choice=None)


@given(request=requests(_CARRIED))
def test_what_is_carried_comes_back(request: Request) -> None:
    encoded = OLLAMA.encode_request(request)
    assert encoded.dropped == ()
    assert OLLAMA.decode_request(open_object(encoded.body)) == _plain(request)
    assert OLLAMA.encode_request(request) == encoded


def test_own_members_come_back() -> None:
    request = decode(keep_alive=0, shift=False, truncate=True, options={"num_ctx": 1})
    encoded = OLLAMA.encode_request(request)
    assert encoded.dropped == ()
    assert OLLAMA.decode_request(open_object(encoded.body)) == request


@given(messages=wild_messages())
def test_any_conversation_gives_json_or_our_error(
    messages: tuple[Message, ...],
) -> None:
    try:
        encoded = OLLAMA.encode_request(Request("m", messages))
    except GatewayError:
        return
    assert msgspec.json.decode(encoded.body)["model"] == "m"
