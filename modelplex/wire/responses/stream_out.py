"""
Canonical events to a stream of response events, in the order that SDKs insist on.

The first event is ``response.created``; an item is announced before its deltas and
complete once; sequence numbers count from 0 without gaps; the last event has it all
again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import GatewayError
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    HostCall,
    HostResult,
    HostTools,
    RefusalDelta,
    Reply,
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
    spread,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.responses.errors import failed
from modelplex.wire.responses.host_writer import HostWriter
from modelplex.wire.responses.proofs import wrapped_redacted, wrapped_signature
from modelplex.wire.responses.response_out import INCOMPLETE, own_part, response
from modelplex.wire.responses.usage import usage_json

_encode = msgspec.json.Encoder().encode


class ResponseStream:
    """
    A `StreamEncoder`. All ids derive from the answer's own.

    The answering's `echo` is `modelplex.wire.responses.response_out.echoed`.

    :ivar final: the response object of the last event, once that is written.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._id = ""
        self._writer = HostWriter("")
        self._finish = Finished(FinishReason.STOP)
        self._refused = False
        self._usage = Usage()
        self.final = b""

    def encode(self, event: Event) -> bytes:
        if type(event) is TextDelta and self._writer.text_open:
            return self._writer.more_text(event.text)
        if type(event) is UsageReported:
            self._usage = event.usage
            return b""
        self._begin(event.id if isinstance(event, Started) else "")
        self._say(event)
        return self._writer.taken()

    def end(self) -> bytes:
        self._begin("")
        writer = self._writer
        writer.close(calls=True)
        reason = INCOMPLETE.get(self._finish.reason)
        if self._refused and self._finish.reason is FinishReason.REFUSAL:
            reason = None  # it was told in words
        if writer.cut:
            reason = "max_output_tokens"
        ended = self._response("incomplete" if reason else "completed")
        if reason:
            ended["incomplete_details"] = {"reason": reason}
        ended["usage"] = usage_json(self._usage)
        return self._last(ended)

    def fail(self, error: GatewayError) -> bytes:
        self._begin("")
        ended = self._response("failed")
        ended["error"] = failed(error)
        return self._last(ended)

    def _begin(self, id: str) -> None:
        if self._id:
            return
        own = own_part(self._answering.id or id)
        self._id = f"resp_{own}"
        self._writer = HostWriter(own)
        begun = msgspec.Raw(_encode(self._response("in_progress")))
        self._writer.tell("response.created", response=begun)
        self._writer.tell("response.in_progress", response=begun)

    def _response(self, status: str) -> dict[str, Any]:
        made = response(self._id, self._answering, status)
        made["output"] = self._writer.output
        return made

    def _last(self, ended: dict[str, Any]) -> bytes:
        self.final = _encode(ended)
        kind = f"response.{ended['status']}"
        self._writer.tell(kind, response=msgspec.Raw(self.final))
        return self._writer.taken()

    def _say(self, event: Event) -> None:
        writer = self._writer
        match event:
            case TextDelta(text) if text:
                writer.text(text)
            case RefusalDelta(text) if text:
                self._refused = True
                writer.refuse(text)
            case ThinkingDelta(text) if text:
                writer.think(text)
            case ThinkingSigned(signature):
                writer.sign(wrapped_signature(signature))
            case ThinkingRedacted(content):
                writer.redact(wrapped_redacted(content))
            case ToolCallStarted():
                writer.call(event)
            case ToolCallDelta(index, arguments) if arguments:
                writer.arguments(index, arguments)
            case HostTools():
                writer.host_tools(event)
            case HostCall():
                writer.host_call(event)
            case HostResult():
                writer.host_result(event)
            case Cited(citation):
                writer.cite(citation)
            case TokenLogprobs(content):
                writer.logprobs(list(content))
            case Finished():
                self._finish = event
                said = event.explanation
                refused = event.reason is FinishReason.REFUSAL
                if refused and said and not self._refused:
                    self._refused = True
                    writer.refuse(said)
                writer.close(calls=True)
            case _:
                pass  # an empty delta, or what has been told


def encode_reply(reply: Reply, answering: Answering) -> bytes:
    """The response as a guest without a stream gets it: the end of that stream."""
    stream = ResponseStream(answering)
    logprobs = TokenLogprobs(reply.logprobs)
    for event in spread(reply):
        if isinstance(event, TokenLogprobs):
            continue  # no text is open any more where they stand
        stream.encode(event)
        if isinstance(event, TextDelta) and logprobs.content:
            stream.encode(logprobs)
            logprobs = TokenLogprobs(())
    stream.end()
    return stream.final


def failed_at(
    error: GatewayError, answering: Answering, id: str, sequence: int
) -> bytes:
    """
    The last event of a response that was passed on and broke.

    :param id: of the response, as its own events had it.
    :param sequence: the number of the last event that was passed on.
    """
    ended = response(id, answering, "failed")
    ended["error"] = failed(error)
    kind = "response.failed"
    told = {"type": kind, "sequence_number": sequence + 1, "response": ended}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(told))
