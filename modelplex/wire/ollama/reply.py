"""Whole replies of ``/api/chat`` and ``/api/generate``, both ways."""

from __future__ import annotations

import msgspec

from modelplex.errors import UpstreamCut
from modelplex.events import JSON, Reply, Thinking, ToolCall, gather
from modelplex.wire.dialect import Answering
from modelplex.wire.ollama.chat_out import call_object, joined
from modelplex.wire.ollama.lines import Answer, new_chat_answer, new_generate_answer
from modelplex.wire.ollama.stream import ending, rfc3339


def decode_chat_reply(body: bytes) -> Reply:
    """
    Read a reply of ``/api/chat``.

    :raises GatewayError: it is none, or not complete, or an error.
    """
    return _decode(body, new_chat_answer())


def decode_generate_reply(body: bytes) -> Reply:
    """The same for ``/api/generate``."""
    return _decode(body, new_generate_answer())


def _decode(body: bytes, answer: Answer) -> Reply:
    events = answer.events(body, may_be_cut=True)
    if not answer.done:
        raise UpstreamCut("the provider's answer is not complete")
    return gather(events)


def encode_chat_reply(reply: Reply, answering: Answering) -> bytes:
    """Write a reply of ``/api/chat``."""
    message = {"role": "assistant", "content": joined(reply.said, "")}
    return _encode(reply, answering, {"message": message | _beside(reply)})


def encode_generate_reply(reply: Reply, answering: Answering) -> bytes:
    """Write a reply of ``/api/generate``."""
    said = {"response": joined(reply.said, "")}
    return _encode(reply, answering, said | _beside(reply))


def _beside(reply: Reply) -> dict[str, JSON]:
    """What an answer has beside its text."""
    beside: dict[str, JSON] = {}
    if thoughts := [p.text for p in reply.parts if isinstance(p, Thinking)]:
        beside["thinking"] = "".join(thoughts)
    if calls := [p for p in reply.parts if isinstance(p, ToolCall)]:
        beside["tool_calls"] = [call_object(n, call) for n, call in enumerate(calls)]
    return beside


def _encode(reply: Reply, answering: Answering, said: dict[str, JSON]) -> bytes:
    whole: dict[str, JSON] = {
        "model": answering.model,
        "created_at": rfc3339(answering.created),
        **said,
        "done": True,
        **ending(reply.finish.reason, reply.usage),
    }
    if reply.logprobs:
        whole["logprobs"] = reply.logprobs
    return msgspec.json.encode(whole)
