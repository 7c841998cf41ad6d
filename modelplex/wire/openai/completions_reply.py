"""Legacy completions: their chunks and whole replies, which share one shape."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import UpstreamError, UpstreamMalformed
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Refusal,
    Reply,
    Started,
    Text,
    TextDelta,
    TokenLogprobs,
    UsageReported,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.chat_chunks import counted
from modelplex.wire.openai.chat_reply import read_whole
from modelplex.wire.openai.errors import decode_error
from modelplex.wire.openai.legacy_logprobs import entries, legacy
from modelplex.wire.openai.shown import FINISH, reply_id
from modelplex.wire.openai.usage import usage_json


class _Choice(msgspec.Struct):
    text: str | None = None
    index: int | None = None
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class CompletionChunks:
    """Reads the chunks of one reply; a whole reply is one chunk."""

    def __init__(self) -> None:
        self.finished = False
        self._started = False

    def read(self, payload: bytes) -> list[Event]:
        chunk = _CHUNK.decode(payload)
        if chunk.error is not None or chunk.object == "error":
            raise decode_error(200, payload)
        told: list[Event] = []
        if not self._started and (chunk.choices or chunk.id):
            self._started = True
            told.append(Started(chunk.id or "", chunk.model or ""))
        for choice in chunk.choices or ():
            if not choice.index and not self.finished:
                self._choice(choice, told)
        if chunk.usage is not None:
            usage = counted(chunk.usage)
            if usage is not None:
                told.append(UsageReported(usage))
        return told

    def finish(self) -> list[Event]:
        if not self._started:
            raise UpstreamMalformed("the provider's stream has no answer in it")
        self.finished = True
        return [Finished(FinishReason.STOP)]

    def _choice(self, choice: _Choice, told: list[Event]) -> None:
        if choice.text:
            told.append(TextDelta(choice.text))
        if choice.logprobs is not None:
            tokens = entries(choice.logprobs)
            if tokens:
                told.append(TokenLogprobs(tokens))
        match choice.finish_reason:
            case None:
                return
            case "error":
                raise UpstreamError("the provider broke off its answer with an error")
            case "length":
                finished = Finished(FinishReason.LENGTH)
            case "content_filter":
                finished = Finished(FinishReason.REFUSAL)
            case _ if isinstance(choice.stop_reason, str):
                finished = Finished(FinishReason.STOP_SEQUENCE, choice.stop_reason)
            case _:
                finished = Finished(FinishReason.STOP)
        self.finished = True
        told.append(finished)


def decode_reply(body: bytes) -> Reply:
    """
    What a provider answered in one piece.

    :raises UpstreamError: it is an error, or no reply at all.
    """
    return read_whole(CompletionChunks(), body)


def encode_reply(reply: Reply, answering: Answering) -> bytes:
    """The reply as a guest without a stream gets it; a refusal is text here."""
    said = (p.text for p in reply.parts if isinstance(p, Text | Refusal))
    choice = {
        "text": "".join(said),
        "index": 0,
        "logprobs": legacy(reply.logprobs, 0) if reply.logprobs else None,
        "finish_reason": finish_word(reply.finish.reason),
    }
    return msgspec.json.encode(
        {
            "id": reply_id(reply.id, answering.id, "cmpl-"),
            "object": "text_completion",
            "created": answering.created,
            "model": answering.model,
            "choices": [choice],
            "usage": usage_json(reply.usage),
        }
    )


def finish_word(reason: FinishReason) -> str:
    """The finish reason in this dialect, which knows no tools."""
    return "stop" if reason is FinishReason.TOOL_CALLS else FINISH[reason]
