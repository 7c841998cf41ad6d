"""
Streams of ``/api/chat`` and ``/api/generate``: one JSON object a line, both ways.

A stream ends with a line that has ``"done":true``, or with an ``error`` line. There
is no keep-alive: the Python client parses every line, blank ones too.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError, UpstreamCut, UpstreamMalformed
from modelplex.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    TokenLogprobs,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.ndjson import Lines
from modelplex.wire.ollama.chat_out import call_object
from modelplex.wire.ollama.lines import Answer, new_chat_answer, new_generate_answer

# What JSON leaves as it is and the Python client takes for the end of a line. Ollama
# itself escapes the first two, as everything that is written in Go does.
_BREAKS = (
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
    ("\u0085".encode(), b"\\u0085"),
)


def _json(value: object) -> bytes:
    """`value` on a line that no client splits."""
    text = msgspec.json.encode(value)
    if not text.isascii():
        for character, escaped in _BREAKS:
            text = text.replace(character, escaped)
    return text


@define(eq=False)
class LineDecoder:
    """A `StreamDecoder` for either route."""

    _answer: Answer
    _lines: Lines = field(factory=Lines)
    done: bool = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            lines = self._lines.feed(chunk)
        except UpstreamMalformed as e:
            self.done = True
            return [Failed(e)]
        return self._read(lines)

    def eof(self) -> list[Event]:
        if self.done:
            return []
        events = self._read(self._lines.eof(), may_be_cut=True)
        if not self.done:
            self.done = True
            events.append(
                Failed(
                    UpstreamCut("the provider closed before its answer was complete")
                )
            )
        return events

    def _read(self, lines: list[bytes], may_be_cut: bool = False) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            try:
                events += self._answer.events(line, may_be_cut)
            except GatewayError as e:
                self.done = True
                events.append(Failed(e))
                break
            if self._answer.done:
                self.done = True
                break
        return events


def chat_decoder() -> LineDecoder:
    """Reads a stream of ``/api/chat``."""
    return LineDecoder(new_chat_answer())


def generate_decoder() -> LineDecoder:
    """Reads a stream of ``/api/generate``."""
    return LineDecoder(new_generate_answer())


@define(eq=False)
class LineEncoder:
    """
    A `StreamEncoder` for either route.

    Ollama's tool calls are whole, one object each. Fragments of several calls may
    come mixed, so all calls are written at the end.

    :ivar _open: what stands before an answer's text in every line.
    :ivar _close: what ends the answer after it.
    """

    _head: bytes  # model and time
    _open: bytes
    _close: bytes
    _calls: dict[int, ToolCallStarted] = field(factory=dict)
    _written: dict[int, list[str]] = field(factory=dict)
    _reason: FinishReason = FinishReason.STOP
    _usage: Usage = field(factory=Usage)

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text) | RefusalDelta(text):
                return self._line(_json(text))
            case ThinkingDelta(text):
                return self._line(b'"","thinking":' + _json(text))
            case ToolCallStarted(index):
                self._calls[index] = event
                self._written[index] = []
            case ToolCallDelta(index, arguments):
                self._written[index].append(arguments)
            case TokenLogprobs(content):
                return self._line(b'""', b',"logprobs":' + _json(content))
            case Finished(reason):
                self._reason = reason
            case UsageReported(usage):
                self._usage = usage
            case _:
                pass  # Ollama has no word for it
        return b""

    def end(self) -> bytes:
        calls = b""
        if self._calls:
            whole = [
                call_object(i, ToolCall(c.id, c.name, "".join(self._written[i])))
                for i, c in self._calls.items()
            ]
            calls = self._line(b'"","tool_calls":' + _json(whole))
        final = b'"done":true,' + _json(ending(self._reason, self._usage))[1:]
        return b"".join(
            (calls, self._head, self._open, b'""', self._close, b",", final, b"\n")
        )

    def fail(self, error: GatewayError) -> bytes:
        return _json({"error": error.message}) + b"\n"

    def _line(self, said: bytes, more: bytes = b"") -> bytes:
        return b"".join(
            (self._head, self._open, said, self._close, more, b',"done":false}\n')
        )


def chat_encoder(answering: Answering) -> LineEncoder:
    """Writes a stream of ``/api/chat``."""
    return LineEncoder(
        _head(answering), b'"message":{"role":"assistant","content":', b"}"
    )


def generate_encoder(answering: Answering) -> LineEncoder:
    """Writes a stream of ``/api/generate``."""
    return LineEncoder(_head(answering), b'"response":', b"")


def ending(reason: FinishReason, usage: Usage) -> dict[str, str | int]:
    """What the last object adds; durations, which nobody measured, are left out."""
    cut_short = reason in (FinishReason.LENGTH, FinishReason.CONTEXT_WINDOW)
    return {
        "done_reason": "length" if cut_short else "stop",
        "prompt_eval_count": usage.input_tokens,
        "eval_count": usage.output_tokens,
    }


def rfc3339(created: int) -> str:
    """Seconds since 1970 as ``created_at``."""
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _head(answering: Answering) -> bytes:
    about = {"model": answering.model, "created_at": rfc3339(answering.created)}
    return _json(about)[:-1] + b","
