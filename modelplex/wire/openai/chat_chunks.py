"""Chat completion chunks, and whole messages, of every compatible server to events."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import UpstreamError, UpstreamMalformed
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    Usage,
    UsageReported,
)
from modelplex.wire.openai.call_slots import CallShape, CallSlots, FunctionShape
from modelplex.wire.openai.errors import decode_error
from modelplex.wire.openai.usage import UsageShape, usage_of


class _Detail(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None


class _Delta(msgspec.Struct):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[_Detail] | None = None
    refusal: str | None = None
    tool_calls: list[CallShape] | None = None
    function_call: FunctionShape | None = None
    annotations: list[Any] | None = None


class _Logprobs(msgspec.Struct):
    content: list[Any] | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    error: Any = None


class _Groq(msgspec.Struct):
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: _Groq | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_LENGTHS = ("length", "max_tokens", "model_length")


class ChatChunks:
    """
    Reads the chunks of one reply; a whole reply is one chunk.

    Only the first choice is read: a translated request asks for one.
    """

    def __init__(self) -> None:
        self.finished = False
        self._id = ""
        self._started = False
        self._calls = CallSlots()
        self._usage: Usage | None = None
        self._plain = False  # reasoning comes outside of reasoning_details

    def read(self, payload: bytes) -> list[Event]:
        chunk = _CHUNK.decode(payload)
        if chunk.error is not None or chunk.object == "error":
            raise decode_error(200, payload)
        told: list[Event] = []
        choices = chunk.choices
        if not self._started and (choices or chunk.id):
            self._started = True
            self._id = chunk.id or ""
            told.append(Started(self._id, chunk.model or ""))
        if choices:
            for choice in choices:
                if not choice.index and not self.finished:
                    self._choice(choice, told)
        if chunk.usage is not None:
            self._count(chunk.usage, told)
        elif chunk.x_groq is not None and chunk.x_groq.usage is not None:
            self._count(chunk.x_groq.usage, told)
        return told

    def finish(self) -> list[Event]:
        if not self._started:
            raise UpstreamMalformed("the provider's stream has no answer in it")
        told: list[Event] = []
        self._end("", None, told)
        return told

    def _choice(self, choice: _Choice, told: list[Event]) -> None:
        if choice.error is not None:
            raise decode_error(200, msgspec.json.encode({"error": choice.error}))
        delta = choice.delta or choice.message
        if delta is not None:
            if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
                self._reasoning(delta, told)
            content = delta.content
            if content:
                if isinstance(content, str):
                    told.append(TextDelta(content))
                else:
                    _listed(content, told)
            if delta.annotations:
                told += [Cited(a) for a in delta.annotations]
            if delta.refusal:
                told.append(RefusalDelta(delta.refusal))
            if delta.tool_calls:
                for call in delta.tool_calls:
                    told += self._calls.add(call, self._id)
            if delta.function_call is not None:
                legacy = CallShape(index=0, function=delta.function_call)
                told += self._calls.add(legacy, self._id)
        if choice.logprobs is not None and choice.logprobs.content:
            told.append(TokenLogprobs(tuple(choice.logprobs.content)))
        if choice.finish_reason is not None:
            self._end(choice.finish_reason, choice.stop_reason, told)

    def _reasoning(self, delta: _Delta, told: list[Event]) -> None:
        """Servers say the same text in up to three places; it is told once."""
        details = delta.reasoning_details or ()
        plain = delta.reasoning_content or delta.reasoning
        detailed = any(d.text or d.summary for d in details)
        if plain and (self._plain or not detailed):
            self._plain = True
            told.append(ThinkingDelta(plain))
        for detail in details:
            text = detail.text or detail.summary
            if text and not self._plain:
                told.append(ThinkingDelta(text))
            if detail.signature:
                told.append(ThinkingSigned(detail.signature))
            if detail.type == "reasoning.encrypted" and detail.data:
                told.append(ThinkingRedacted(detail.data))

    def _end(self, word: str, hit: str | int | None, told: list[Event]) -> None:
        """Finish for the reason `word`; `hit` is vLLM's stop sequence."""
        if word == "error":
            raise UpstreamError("the provider broke off its answer with an error")
        told += self._calls.flush(self._id)
        self.finished = True
        if word in ("tool_calls", "function_call"):
            told.append(Finished(FinishReason.TOOL_CALLS))
        elif word in _LENGTHS:
            told.append(Finished(FinishReason.LENGTH))
        elif word == "content_filter":
            told.append(Finished(FinishReason.REFUSAL))
        elif self._calls:  # a forced call ends with "stop" at OpenAI
            told.append(Finished(FinishReason.TOOL_CALLS))
        elif isinstance(hit, str):
            told.append(Finished(FinishReason.STOP_SEQUENCE, hit))
        else:
            told.append(Finished(FinishReason.STOP))

    def _count(self, said: Any, told: list[Event]) -> None:
        usage = counted(said)
        if usage is not None and usage != self._usage:
            self._usage = usage
            told.append(UsageReported(usage))


def counted(said: Any) -> Usage | None:
    """Usage of any server; counts that are no counts are not worth an error."""
    try:
        return usage_of(msgspec.convert(said, UsageShape))
    except msgspec.ValidationError:
        return None


def _listed(content: list[Any], told: list[Event]) -> None:
    """Mistral's content: a list of text and thinking parts."""
    for part in content:
        if not isinstance(part, dict):
            continue
        text, thinking = part.get("text"), part.get("thinking")
        if isinstance(text, str) and text:
            told.append(TextDelta(text))
        pieces = thinking if isinstance(thinking, list) else [{"text": thinking}]
        for piece in pieces:
            said = piece.get("text") if isinstance(piece, dict) else None
            if isinstance(said, str) and said:
                told.append(ThinkingDelta(said))
