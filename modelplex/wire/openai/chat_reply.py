"""A whole chat completion, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    JSON,
    FinishReason,
    RedactedThinking,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
    gather,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.chat_chunks import ChatChunks
from modelplex.wire.openai.event_stream import ChunkReader
from modelplex.wire.openai.shown import (
    FINISH,
    annotation,
    redacted,
    reply_id,
    signed,
)
from modelplex.wire.openai.usage import usage_json
from modelplex.wire.upstream import text_of


def decode_reply(body: bytes) -> Reply:
    """
    What a provider answered in one piece.

    :raises UpstreamError: it is an error, or no reply at all.
    """
    return read_whole(ChatChunks(), body)


def read_whole(chunks: ChunkReader, body: bytes) -> Reply:
    """
    Read a body as the only chunk of its stream.

    :raises GatewayError: it is an error, or no reply at all.
    """
    try:
        told = chunks.read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = text_of(body)
        raise UpstreamMalformed(f"the provider's reply is not one: {said}") from None
    if not chunks.finished:
        if not told:
            raise UpstreamMalformed("the provider's reply has no answer in it")
        told += chunks.finish()
    return gather(told)


def encode_reply(reply: Reply, answering: Answering) -> bytes:
    """The reply as a guest without a stream gets it."""
    finish = reply.finish
    refusal = "".join(p.text for p in reply.parts if isinstance(p, Refusal))
    if not refusal and finish.reason is FinishReason.REFUSAL:
        refusal = finish.explanation or ""
    calls = [_call(p) for p in reply.parts if isinstance(p, ToolCall)]
    content, annotations = _content(reply)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content or (None if calls or refusal else ""),
        "refusal": refusal or None,
        "annotations": annotations,
    }
    reasoning = "".join(p.text for p in reply.parts if isinstance(p, Thinking))
    if reasoning:
        message["reasoning_content"] = message["reasoning"] = reasoning
    details = _details(reply)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    logprobs = {"content": reply.logprobs, "refusal": None} if reply.logprobs else None
    choice = {
        "index": 0,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": FINISH[finish.reason],
    }
    return msgspec.json.encode(
        {
            "id": reply_id(reply.id, answering.id, "chatcmpl-"),
            "object": "chat.completion",
            "created": answering.created,
            "model": answering.model,
            "choices": [choice],
            "usage": usage_json(reply.usage),
        }
    )


def _content(reply: Reply) -> tuple[str, list[JSON]]:
    """All the text, and what is cited for which piece of it."""
    text = ""
    cited: list[JSON] = []
    for part in reply.parts:
        if isinstance(part, Text):
            start, text = len(text), text + part.text
            for citation in part.citations:
                shown = annotation(citation, start, len(text))
                if shown is not None:
                    cited.append(shown)
    return text, cited


def _details(reply: Reply) -> list[JSON]:
    """What has to come back untouched: without a proof there is nothing of it."""
    details: list[JSON] = []
    index = -1
    for part in reply.parts:
        if isinstance(part, RedactedThinking):
            index += 1
            details.append(redacted(index, part.content))
        elif isinstance(part, Thinking):
            index += 1
            if part.signature is not None:
                details.append(signed(index, part.signature, part.text))
            else:
                details.append(
                    {"type": "reasoning.text", "text": part.text, "index": index}
                )
    proven = any(d["type"] != "reasoning.text" or "signature" in d for d in details)
    return details if proven else []


def _call(call: ToolCall) -> JSON:
    if call.custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}
