"""Whole replies of the Messages API, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    HostCall,
    HostPart,
    HostResult,
    Part,
    RedactedThinking,
    Refusal,
    Reply,
    Started,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageReported,
    gather,
)
from modelplex.wire.anthropic.block_reader import (
    BLOCKS,
    Block,
    BlockReader,
    StopDetails,
)
from modelplex.wire.anthropic.errors import decode_error
from modelplex.wire.anthropic.tool_words import (
    wire_input,
)
from modelplex.wire.anthropic.words import (
    WireUsage,
    finish_reason,
    is_citation,
    own_signature,
    stop_reason,
    wire_usage,
)
from modelplex.wire.dialect import Answering

# --- from a provider --------------------------------------------------------


class _Message(Struct):
    type: str
    content: list[Raw] = msgspec.field(default_factory=list)
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: WireUsage | None = None


class _Head(Struct):
    type: str


def decode_reply(body: bytes) -> Reply:
    """
    The reply that `body` is.

    Server tool blocks are left out; the text around them stays.

    :raises GatewayError: it is an error after all, or no message at all.
    """
    try:
        # An error may come with a success, and its members clash with a message's.
        if msgspec.json.decode(body, type=_Head).type == "error":
            raise decode_error(200, body)
        message = msgspec.json.decode(body, type=_Message)
        blocks = list(_known(message.content))
    except (msgspec.DecodeError, RecursionError) as e:
        raise UpstreamMalformed(f"the reply cannot be read: {e}") from None
    if message.type != "message":
        raise UpstreamMalformed(f"the reply is a {message.type[:40]!r}, not a message")
    reader, events = BlockReader(), list[Event]()
    for block in blocks:
        reader.start(block, events)
        reader.stop(events)
    details = message.stop_details
    finish = Finished(
        finish_reason(message.stop_reason),
        message.stop_sequence,
        details.explanation if details else None,
    )
    usage = message.usage.canonical() if message.usage else Usage()
    return gather(
        [Started(message.id, message.model), *events, finish, UsageReported(usage)]
    )


def _known(content: list[Raw]) -> Iterator[Block]:
    for raw in content:
        if msgspec.json.decode(raw, type=_Head).type in BLOCKS:
            yield msgspec.json.decode(raw, type=Block)


# --- to a guest -------------------------------------------------------------


def encode_reply(reply: Reply, answering: Answering) -> bytes:
    """The message that says `reply` to a guest."""
    content: list[dict[str, Any]] = []
    for part in reply.parts:
        _add(part, content)
    content = [b for b in content if b["type"] != "text" or b["text"].strip()]
    while len(content) > 1 and content[-1].get("thinking") == "":
        content.pop()  # agents show the last block; see `AnthropicEncoder`
    called = any(isinstance(part, ToolCall) for part in reply.parts)
    body = message(reply.id, answering, reply.usage)
    body["content"] = content or [{"type": "text", "text": ""}]
    body |= stopped(reply.finish, called)
    return msgspec.json.encode(body)


def message(id: str, answering: Answering, usage: Usage) -> dict[str, Any]:
    """
    A message that has no content yet and has not stopped.

    :param id: the provider's; guests expect one that begins with ``msg_``.
    """
    id = id or answering.id
    return {
        "id": id if id.startswith("msg_") else f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": answering.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": wire_usage(usage),
    }


def stopped(finish: Finished, called: bool) -> dict[str, Any]:
    """The members that say why the model stopped; `called` a tool or not."""
    details = None
    if finish.reason is FinishReason.REFUSAL:
        details = {
            "type": "refusal",
            "category": None,
            "explanation": finish.explanation,
        }
    return {
        "stop_reason": stop_reason(finish.reason, called),
        "stop_sequence": finish.stop_sequence,
        "stop_details": details,
    }


def use_block(call: HostCall) -> dict[str, Any]:
    """A call that Modelplex makes itself, without its input."""
    return {
        "type": "mcp_tool_use",
        "id": call.id,
        "name": call.name,
        "server_name": call.label,
    }


def result_block(result: HostResult) -> dict[str, Any]:
    """What its tool has answered; the block has a place for text only."""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": result.call_id,
        "is_error": result.is_error,
        "content": [
            {"type": "text", "text": text} for text in result.texts if text.strip()
        ],
    }


def _add(part: Part | HostPart, content: list[dict[str, Any]]) -> None:
    """Append the block for `part`, or its text to a last block of text."""
    match part:
        case Text() | Refusal():
            if not content or content[-1]["type"] != "text":
                content.append({"type": "text", "text": ""})
            content[-1]["text"] += part.text
            found = part.citations if isinstance(part, Text) else ()
            if citations := [c for c in found if is_citation(c)]:
                content[-1].setdefault("citations", []).extend(citations)
        case Thinking():
            signature = part.signature or own_signature(part.text)
            content.append(
                {"type": "thinking", "thinking": part.text, "signature": signature}
            )
        case RedactedThinking():
            content.append({"type": "redacted_thinking", "data": part.content})
        case HostCall():
            input = wire_input(part.arguments, custom=False)
            content.append({**use_block(part), "input": input})
        case HostResult():
            content.append(result_block(part))
        case ToolCall():
            input = wire_input(part.arguments, part.custom)
            call = {"type": "tool_use", "id": part.id, "name": part.name}
            content.append({**call, "input": input})
        case _:
            pass  # the dialect answers with nothing else
