"""What Gemini signed comes back to it through guests that speak other dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from modelplex.events import (
    Finished,
    FinishReason,
    Part,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from modelplex.testing.oracle_gemini import check_request
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT

ANSWERING = Answering("m", 0, id="x")

STEP: tuple[dict[str, Any], ...] = (
    {"text": "let me look", "thought": True},
    {
        "functionCall": {"id": "a", "name": "f", "args": {"x": 1}},
        "thoughtSignature": "QUFB",
    },
    {"functionCall": {"id": "b", "name": "f", "args": {}}},
)
SPOKEN: tuple[dict[str, Any], ...] = (
    {"text": "hm", "thought": True, "thoughtSignature": "REREREQ="},
    {"text": "Both it is."},
    {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "Qg=="},
    {"functionCall": {"id": "d", "name": "f", "args": {}}, "thoughtSignature": "Qw=="},
)


def answer(parts: tuple[dict[str, Any], ...]) -> Reply:
    content = {"role": "model", "parts": parts}
    body = {"candidates": [{"content": content, "finishReason": "STOP"}]}
    return GEMINI.decode_reply(json.dumps(body).encode())


def anthropic_turn(reply: Reply) -> dict[str, Any]:
    message = json.loads(ANTHROPIC.encode_reply(reply, ANSWERING))
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results},
    ]
    return {"model": "gemini-3-pro", "max_tokens": 9, "messages": messages}


def openai_turn(reply: Reply) -> dict[str, Any]:
    completion = json.loads(OPENAI_CHAT.encode_reply(reply, ANSWERING))
    message = completion["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        for call in message["tool_calls"]
    ]
    messages = [{"role": "user", "content": "Hi"}, message, *results]
    return {"model": "gemini-3-pro", "messages": messages}


def sent_back(dialect: Dialect, body: dict[str, Any]) -> Request:
    return dialect.decode_request(open_object(json.dumps(body).encode()))


@pytest.mark.parametrize("parts", [STEP, SPOKEN])
@pytest.mark.parametrize(
    ("dialect", "turn"), [(ANTHROPIC, anthropic_turn), (OPENAI_CHAT, openai_turn)]
)
def test_a_step_comes_back_as_gemini_signed_it(
    dialect: Dialect, turn: Any, parts: tuple[dict[str, Any], ...]
) -> None:
    request = sent_back(dialect, turn(answer(parts)))
    body = json.loads(GEMINI.encode_request(request).body)
    check_request(body)
    assert body["contents"][1]["parts"] == list(parts)


def test_what_others_signed_is_there_again_when_the_talk_returns() -> None:
    signed = (Thinking("hm", "c2lnbmVk"), Text("a"), ToolCall("a", "f", "{}"))
    reply = Reply("r", "m", signed, Finished(FinishReason.TOOL_CALLS))
    parts: list[Any] = json.loads(GEMINI.encode_reply(reply, ANSWERING))["candidates"][
        0
    ]["content"]["parts"]
    result = {"functionResponse": {"id": "a", "name": "f", "response": {"output": "o"}}}
    request = sent_back(
        GEMINI,
        {
            "contents": [
                {"parts": [{"text": "Hi"}]},
                {"role": "model", "parts": parts},
                {"parts": [result]},
            ]
        },
    )
    assert request.messages[1].parts == signed
    away = GEMINI.encode_request(evolve(request, model="gemini-3-pro"))
    assert b"c2lnbmVk" not in away.body and away.dropped == ("reasoning_content",)
    back = json.loads(
        ANTHROPIC.encode_request(evolve(request, model="claude-opus-5-5")).body
    )
    first: Part | dict[str, Any] = back["messages"][1]["content"][0]
    assert first == {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
