"""
A strict reader of a Messages stream, written from the SDKs' point of view.

It knows nothing of the encoder: it holds a finished stream against the rules that
clients rely on and puts the message together as they do.
"""

from __future__ import annotations

import json
from typing import Any

_STOP_REASONS = {
    "end_turn",
    "stop_sequence",
    "max_tokens",
    "model_context_window_exceeded",
    "tool_use",
    "refusal",
    "pause_turn",
}
_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "mcp_tool_use": {"input_json_delta"},
    "mcp_tool_result": set[str](),
    "redacted_thinking": set[str](),
}


def frames(stream: bytes) -> list[dict[str, Any]]:
    """The payloads of `stream`; each event has its name and one line of JSON."""
    assert stream.endswith(b"\n\n"), "the last event is not closed"
    found: list[dict[str, Any]] = []
    for block in stream[:-2].split(b"\n\n"):
        name, payload = block.split(b"\n")
        assert name.startswith(b"event: ") and payload.startswith(b"data: "), block
        decoded = json.loads(payload[6:])
        assert decoded["type"] == name[7:].decode(), "event and type differ"
        found.append(decoded)
    return found


def read_message(stream: bytes) -> dict[str, Any]:
    """
    The message that the complete `stream` adds up to.

    :raises AssertionError: a rule that clients rely on is broken.
    """
    events = [event for event in frames(stream) if event["type"] != "ping"]
    first, *middle, delta, last = events
    assert first["type"] == "message_start"
    assert last == {"type": "message_stop"}
    message: dict[str, Any] = first["message"]
    _counts(message["usage"], "input_tokens", "output_tokens")
    assert message["content"] == [] and message["stop_reason"] is None
    assert message["id"].startswith("msg_") and message["role"] == "assistant"
    while middle:
        message["content"].append(_block(middle, len(message["content"])))
    assert message["content"], "no block at all"
    _answered(message["content"])
    assert delta["type"] == "message_delta"
    assert delta["delta"]["stop_reason"] in _STOP_REASONS
    _counts(delta["usage"], "output_tokens")
    message.update(delta["delta"])
    message["usage"].update(delta["usage"])
    return message


def _counts(usage: dict[str, Any], *needed: str) -> None:
    assert usage.keys() >= set(needed)
    for key, count in usage.items():
        if key.endswith("_tokens"):
            assert isinstance(count, int) and count >= 0, key


def _block(events: list[dict[str, Any]], index: int) -> dict[str, Any]:
    """Take one whole block off `events`."""
    start = events.pop(0)
    assert start["type"] == "content_block_start", "a delta outside of a block"
    block: dict[str, Any] = start["content_block"]
    partial: list[str] = []
    while True:
        assert start["index"] == index, "indexes have a gap"
        assert events, "a block is not closed"
        event = events.pop(0)
        assert event["index"] == index, "blocks overlap"
        if event["type"] == "content_block_stop":
            break
        assert event["type"] == "content_block_delta"
        _apply(block, event["delta"], partial)
    if block["type"] in ("tool_use", "mcp_tool_use"):
        assert block["input"] == {}, "input is built from deltas only"
        block["input"] = json.loads("".join(partial) or "{}")
        assert isinstance(block["input"], dict)
        assert block["id"] and block["name"]
    if block["type"] == "thinking":
        assert block["signature"], "agents send it back and need a signature"
    return block


def _answered(content: list[dict[str, Any]]) -> None:
    """Each call that was made for the guest has one result, which comes after it."""
    waiting: set[str] = set()
    for block in content:
        if block["type"] == "mcp_tool_use":
            assert block["server_name"], "the server has no name"
            assert block["id"] not in waiting, "two calls have one id"
            waiting.add(block["id"])
        elif block["type"] == "mcp_tool_result":
            waiting.remove(block["tool_use_id"])
            assert isinstance(block["is_error"], bool)
            assert all(piece["type"] == "text" for piece in block["content"])
    assert not waiting, "a call has no result"


def _apply(block: dict[str, Any], delta: dict[str, Any], partial: list[str]) -> None:
    assert delta["type"] in _DELTAS[block["type"]], (block["type"], delta["type"])
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        case "thinking_delta":
            assert not block["signature"], "the signature ends the block"
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            # SDKs replace an earlier one and do not append.
            assert not block["signature"]
            block["signature"] = delta["signature"]
        case _:
            partial.append(delta["partial_json"])


def check_request(body: dict[str, Any], *, prefill: bool = False) -> None:
    """
    Hold a request against the rules that the API answers 400 for.

    :raises AssertionError: a rule is broken.
    """
    assert body["max_tokens"] >= 1
    turns = body["messages"]
    assert turns and turns[0]["role"] == "user"
    assert turns[-1]["role"] != "assistant" or prefill
    _alternates([turn["role"] for turn in turns])
    ids: list[str] = []
    for turn, following in zip(turns, [*turns[1:], None], strict=True):
        assert turn["content"], "an empty turn"
        ids += _checked_turn(turn, following)
    assert len(ids) == len(set(ids)), "two calls have one id"
    _checked_tools(body, called=bool(ids))
    blocks = [*body.get("system", ()), *(b for t in turns for b in t["content"])]
    _checked_texts(blocks)
    inner = [b for block in blocks for b in block.get("content", ())]
    marked = [body, *body.get("tools", ()), *blocks, *inner]
    assert sum("cache_control" in item for item in marked) <= 4


def _alternates(roles: list[str]) -> None:
    for before, role, after in zip(
        [None, *roles[:-1]], roles, [*roles[1:], None], strict=True
    ):
        assert before != role, "two turns of one role in a row"
        if role == "system":
            assert before == "user" and after in ("assistant", None)


def _checked_turn(turn: dict[str, Any], following: dict[str, Any] | None) -> list[str]:
    """The ids of the calls in `turn`, each answered at the start of `following`."""
    kinds = [block["type"] for block in turn["content"]]
    calls: list[str] = [b["id"] for b in turn["content"] if b["type"] == "tool_use"]
    if turn["role"] == "assistant":
        assert kinds[-1] not in ("thinking", "redacted_thinking")
        assert set(kinds) <= {"text", "tool_use", "thinking", "redacted_thinking"}
    else:
        assert set(kinds) <= {"text", "image", "document", "tool_result"}
        results = kinds.count("tool_result")
        assert "tool_result" not in kinds[results:], "results stand first"
    first = following["content"][: len(calls)] if following and calls else []
    assert sorted(calls) == sorted(block["tool_use_id"] for block in first)
    after = following["content"][len(calls) :] if following else []
    if turn["role"] == "assistant":
        assert not any(block["type"] == "tool_result" for block in after)
    for id in calls:
        assert 0 < len(id) <= 64 and id.isascii()
        assert id.replace("_", "").replace("-", "").isalnum() or set(id) <= set("_-")
    return calls


def _checked_tools(body: dict[str, Any], called: bool) -> None:
    tools = body.get("tools", [])
    assert tools or not called, "calls of tools that are not declared"
    assert tools or "tool_choice" not in body
    for tool in tools:
        assert 0 < len(tool["name"]) <= 128 and tool["name"].isascii()
        schema = tool["input_schema"]
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & schema.keys()


def _checked_texts(blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        if block["type"] == "text":
            assert block["text"].strip(), "a text of nothing"
        if block["type"] == "tool_use":
            assert isinstance(block["input"], dict)
        if block["type"] == "tool_result" and "content" in block:
            assert block["content"]
            _checked_texts(block["content"])
