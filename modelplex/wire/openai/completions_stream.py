"""Canonical events to the chunks of a legacy completion: text and nothing else."""

from __future__ import annotations

import msgspec

from modelplex.errors import GatewayError
from modelplex.events import (
    Event,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    TokenLogprobs,
    Usage,
    UsageReported,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.completions_reply import finish_word
from modelplex.wire.openai.errors import inner
from modelplex.wire.openai.legacy_logprobs import legacy
from modelplex.wire.openai.shown import reply_id
from modelplex.wire.openai.usage import usage_json

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"


class CompletionStream:
    """A `StreamEncoder`. Reasoning and citations have no place here."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._end = b',"usage":null}\n\n' if answering.include_usage else b"}\n\n"
        self._text_end = b',"index":0,"logprobs":null,"finish_reason":null}]'
        self._text_end += self._end
        self._head = b""
        self._length = 0  # characters of text
        self._counted = 0  # of them, those whose probabilities were told
        self._usage = Usage()

    def encode(self, event: Event) -> bytes:
        if not self._head:
            self._begin(event.id if isinstance(event, Started) else "")
        match event:
            case TextDelta(text) | RefusalDelta(text):
                if not text:
                    return b""
                self._length += len(text)
                return b'%b[{"text":%b%b' % (self._head, _encode(text), self._text_end)
            case TokenLogprobs(content):
                told = legacy(content, self._counted)
                self._counted = self._length
                return self._closing(_encode(told), b"null")
            case UsageReported():
                self._usage = event.usage
                return b""
            case Finished():
                return self._closing(b"null", _encode(finish_word(event.reason)))
            case _:
                return b""

    def end(self) -> bytes:
        if not self._answering.include_usage:
            return _DONE
        if not self._head:
            self._begin("")
        usage = _encode(usage_json(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, _DONE)

    def fail(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % _encode({"error": inner(error)})

    def _closing(self, logprobs: bytes, reason: bytes) -> bytes:
        choice = b'[{"text":"","index":0,"logprobs":%b,"finish_reason":%b}]'
        return self._head + choice % (logprobs, reason) + self._end

    def _begin(self, id: str) -> None:
        answering = self._answering
        self._head = b'data: {"id":%b,"object":"text_completion",' % _encode(
            reply_id(id, answering.id, "cmpl-")
        )
        self._head += b'"created":%d,"model":%b,"choices":' % (
            answering.created,
            _encode(answering.model),
        )
