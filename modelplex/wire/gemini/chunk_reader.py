"""
A ``GenerateContentResponse`` to canonical events: a whole reply, or one chunk of many.

Gemini docs, "Generate content": a finish reason may stand in any chunk and the last
one counts; usage is that of the whole reply so far.
"""

from __future__ import annotations

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import UpstreamCut
from modelplex.events import (
    Event,
    Finished,
    Started,
    TokenLogprobs,
    UsageReported,
)
from modelplex.wire.gemini.errors import decode_error
from modelplex.wire.gemini.logprobs import LogprobsResult
from modelplex.wire.gemini.part_reader import Part, PartReader
from modelplex.wire.gemini.words import WireUsage, blocked, finished

_NULL = Raw(b"null")


class _Content(Struct, gc=False):
    parts: list[Part] | None = None


class _Candidate(Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    logprobs_result: LogprobsResult | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Response(Struct, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    usage_metadata: WireUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: _Feedback | None = None
    error: Raw = _NULL


_RESPONSE = msgspec.json.Decoder(_Response)


@define(eq=False)
class ChunkReader:
    """Reads the responses of one reply, in order."""

    _parts: PartReader = field(factory=PartReader)
    _started: bool = False
    _id: str = ""
    _usage: WireUsage | None = None
    _reported: bool = False
    _reason: str | None = None
    _message: str | None = None
    _blocked: _Feedback | None = None

    def read(self, payload: bytes, events: list[Event]) -> None:
        """
        Append what one response says.

        :raises GatewayError: it is an error.
        :raises msgspec.DecodeError: it is not what a response looks like.
        """
        response = _RESPONSE.decode(payload)
        if response.error is not _NULL and bytes(response.error) != b"null":
            raise decode_error(200, payload)
        if not self._started:
            self._start(response, events)
        if response.usage_metadata is not None:
            self._usage = response.usage_metadata
            if not self._reported:
                self._reported = True
                events.append(UsageReported(self._usage.canonical()))
        for candidate in response.candidates or ():
            if not candidate.index:  # one answer is all that was asked for
                self._candidate(candidate, events)
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._blocked = feedback

    def _start(self, response: _Response, events: list[Event]) -> None:
        if response.response_id or response.candidates or response.usage_metadata:
            self._started = True
            self._id = response.response_id or ""
            events.append(Started(self._id, response.model_version or ""))

    def _candidate(self, candidate: _Candidate, events: list[Event]) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._parts.read(part, self._id, events)
        logprobs = candidate.logprobs_result
        if logprobs is not None and (entries := logprobs.entries()):
            events.append(TokenLogprobs(entries))
        if candidate.finish_reason:
            self._reason = candidate.finish_reason
            self._message = candidate.finish_message

    def finish(self, events: list[Event]) -> None:
        """
        Append what is at the end of a reply.

        :raises GatewayError: it is not complete, or the model failed.
        """
        events.append(self._finished())
        usage = self._usage or WireUsage()
        events.append(UsageReported(usage.canonical()))

    def _finished(self) -> Finished:
        if self._reason is not None and self._reason != "FINISH_REASON_UNSPECIFIED":
            called = self._parts.calls > 0
            answered = self._parts.answered
            return finished(
                self._reason, self._message, called=called, answered=answered
            )
        if self._blocked is not None:
            word = self._blocked.block_reason or ""
            return blocked(word, self._blocked.block_reason_message)
        raise UpstreamCut("the provider's answer ended before the model did")

    def spent(self) -> list[Event]:
        """The usage of a reply that fails, as far as it is known."""
        return [] if self._usage is None else [UsageReported(self._usage.canonical())]
