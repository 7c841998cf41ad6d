"""
Canonical events to a stream of the Gemini API.

Every chunk is a response with one part; a call comes whole in one chunk. SDKs take
any line that does not begin with ``data: `` for JSON, so there are no comments and no
other fields (gemini docs and SDKs 3.4 and 2.32, November 2026).
"""

from __future__ import annotations

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError
from modelplex.events import (
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
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.gemini import shown
from modelplex.wire.gemini.errors import encode_error_chunk
from modelplex.wire.gemini.logprobs import wire_logprobs
from modelplex.wire.gemini.signatures import own, seal

KEEPALIVE = b"\n"
"""An empty line, before the next chunk: the one thing that every SDK passes over."""

_OPEN = b'{"candidates":[{"content":{"parts":['
_CLOSE = b'],"role":"model"},"index":0}],'


@define(eq=False)
class GeminiEncoder:
    """See `modelplex.wire.dialect.StreamEncoder`; gives server-sent events."""

    _answering: Answering
    _id: str = ""
    _usage: Usage = field(factory=Usage)
    _finish: Finished = field(factory=lambda: Finished(FinishReason.STOP))
    _calls: dict[int, shown.Call] = field(factory=dict)  # those not sent yet
    _signatures: dict[int, str] = field(factory=dict)  # of calls to come
    _tail: bytes = b""  # of every chunk

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text) | RefusalDelta(text) if text:
                return self._part(shown.text_part(text))
            case ThinkingDelta(text) if text:
                return self._part(shown.thought_part(text))
            case ToolCallDelta(index, arguments):
                if (call := self._calls.get(index)) is not None:
                    call.written.append(arguments)
            case ToolCallStarted(index, id, name, custom):
                given = self._signatures.pop(index, None)
                signature = shown.call_signature(index, given)
                self._calls[index] = shown.Call(id, name, custom, signature)
            case ThinkingSigned(signature):
                return self._signed(signature)
            case ThinkingRedacted(content):
                return self._part(shown.sealed_part(seal(content)))
            case TokenLogprobs(content):
                return self._logprobs(wire_logprobs(content))
            case Started():
                self._id = event.id
            case UsageReported(usage):
                self._usage = usage
            case Finished():
                self._finish = event
            case _:
                pass  # an empty delta, or what the dialect has no word for
        return b""

    def end(self) -> bytes:
        parts = [call.part() for call in self._calls.values()]
        self._calls.clear()
        about = shown.about(self._id, self._answering, self._usage)
        last = shown.response(parts, shown.stopped(self._finish), about)
        return self._framed(last) + self._closed()

    def fail(self, error: GatewayError) -> bytes:
        return self._framed(encode_error_chunk(error)) + self._closed()

    def _framed(self, payload: bytes) -> bytes:
        return b"data: " + payload + b"\r\n\r\n"

    def _closed(self) -> bytes:
        return b""

    def _part(self, part: bytes) -> bytes:
        before = self._complete() if self._calls else b""
        return before + self._framed(
            _OPEN + part + (self._tail or self._end_of_chunk())
        )

    def _end_of_chunk(self) -> bytes:
        about = msgspec.json.encode(shown.about(self._id, self._answering))
        self._tail = _CLOSE + about[1:]
        return self._tail

    def _complete(self) -> bytes:
        """The calls before this, as far as nothing more of them can come."""
        sent: list[bytes] = []
        for index, call in list(self._calls.items()):
            if not call.complete():
                break
            del self._calls[index]
            sent.append(self._framed(_OPEN + call.part() + self._end_of_chunk()))
        return b"".join(sent)

    def _signed(self, signature: str) -> bytes:
        known = own(signature)
        if known is None or known.call is None:
            return self._part(shown.proof_part(signature))
        self._signatures[known.call] = known.wire
        return b""

    def _logprobs(self, result: dict[str, object]) -> bytes:
        about = shown.about(self._id, self._answering)
        chunk = shown.response([], {"logprobsResult": result}, about)
        return self._complete() + self._framed(chunk)


@define(eq=False)
class GeminiArrayEncoder(GeminiEncoder):
    """The same without ``alt=sse``: one array that grows."""

    _begun: bool = False

    def _framed(self, payload: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + payload

    def _closed(self) -> bytes:
        return b"]"
