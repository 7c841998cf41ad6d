"""Readers for responses that pass through: streams event by event, and whole ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError, UpstreamError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire.dialect import Answering
from modelplex.wire.responses.errors import error_event, failure
from modelplex.wire.responses.stream_out import ResponseStream, failed_at
from modelplex.wire.responses.usage import usage_of
from modelplex.wire.tap import (
    UNREADABLE,
    DecodeError,
    Framing,
    Noted,
    Seen,
    WholeTap,
    comment_only,
    cut_short,
    is_error,
    meant,
    no_json,
    without_id,
    wrong_with,
)

_NOTHING = msgspec.Raw()
_PROOF = b'"encrypted_content"'
_BEGINS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset(
    {
        *("response.completed", "response.incomplete", "response.failed"),
        *("response.cancelled", "error"),
    }
)
_WORTHLESS = frozenset(
    {
        *("response.output_item.added", "response.content_part.added"),
        *("response.reasoning_summary_part.added", "response.reasoning_part.added"),
    }
)
# An item of another kind is work that the provider has begun, and counts as an answer.
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


class _Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int | None = None
    response: msgspec.Raw = _NOTHING


class _Item(msgspec.Struct):
    type: str | None = None


class _FirstEvent(msgspec.Struct):
    delta: str | None = None
    item: _Item | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    object: str | None = None
    status: str | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


class _Proof(msgspec.Struct):
    encrypted_content: str | None = None


class _Proofs(msgspec.Struct):
    """Where items stand: in an event about one, in its response, in a response."""

    item: _Proof | None = None
    response: _Proofs | None = None
    output: list[_Proof] | None = None


_EVENT = msgspec.json.Decoder(_Event)
_FIRST = msgspec.json.Decoder(_FirstEvent)
_RESPONSE = msgspec.json.Decoder(_Response)
_PROOFS = msgspec.json.Decoder(_Proofs)


@define(eq=False)
class ResponsesTap:
    """
    Passes a stream of response events and reads it on the way.

    :param noted: is told of ``encrypted_content``.
    :param answering: what an error says about itself if the stream has not begun.
    :ivar response_id: of the response that passes, for an error that must end it.
    :ivar sequence: the number of the last event; -1 when events have none.
    :ivar response: the finished response object, for whoever remembers it.
    """

    _decode_error: DecodeError
    _noted: Noted | None = None
    _answering: Answering = field(factory=lambda: Answering("", 0))
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    response_id: str = ""
    sequence: int = -1
    response: bytes = b""
    _framing: Framing = field(factory=Framing)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        try:
            return self._framing.feed(chunk, self._event)
        except UpstreamMalformed as e:
            self.error = e
            return b""

    def eof(self) -> bytes:
        if self.done or self.error is not None:
            return b""
        rest = self._framing.eof(self._event)
        if self.error is None and not self.done:
            self.error = cut_short()
        return rest

    def fail(self, error: GatewayError) -> bytes:
        if not self.response_id:  # clients insist on a first event
            return ResponseStream(self._answering).fail(error)
        return failed_at(error, self._answering, self.response_id, self.sequence)

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        frame = without_id(frame)
        if not payload:
            if payload is None and is_error(frame):
                self.error = meant(self._decode_error, frame)
            return comment_only(payload, frame)
        if payload.startswith(b"[DONE]"):
            self.error = cut_short()
            return b""
        try:
            event = _EVENT.decode(payload)
        except msgspec.ValidationError:
            self.error = wrong_with(payload, self._decode_error)
            return frame if self.error is None else b""
        except UNREADABLE:
            self.error = no_json()
            return b""
        kind = event.type
        if kind in _ENDS:
            self._end(kind, event.response, payload)
            if self.error is not None:
                return b""  # ours is said in its place, and has its number
        elif not self.meaningful:
            self._look(kind, event.response, payload)
        if event.sequence_number is not None:
            self.sequence = event.sequence_number
        if self._noted is not None and _PROOF in payload:
            for proof in _proofs(payload):
                self._noted(proof)
        return frame

    def _look(self, kind: str, response: msgspec.Raw, payload: bytes) -> None:
        """Whether this event is the first that says something."""
        try:
            if kind in _BEGINS:
                if response:
                    self._begin(_RESPONSE.decode(response))
            elif kind.endswith(".delta"):
                self.meaningful = bool(_FIRST.decode(payload).delta)
            elif kind in _WORTHLESS:
                item = _FIRST.decode(payload).item
                self.meaningful = item is not None and item.type not in _ITEMS
            else:
                self.meaningful = kind.startswith("response.")
        except UNREADABLE:
            pass  # it passes, and means nothing to us

    def _begin(self, said: _Response) -> None:
        """Note how the response calls itself, for an error that must end it."""
        self.response_id = said.id or ""
        model = said.model or self._answering.model
        self._answering = Answering(
            model, int(said.created_at or self._answering.created)
        )

    def _end(self, kind: str, raw: msgspec.Raw, payload: bytes) -> None:
        if kind == "error":
            self.error = meant(_error_event, payload)
            return
        try:
            response = _RESPONSE.decode(raw or b"{}")
        except UNREADABLE:
            response = _Response()
        usage = usage_of(response.usage)
        self.usage = self.usage if usage is None else usage
        self.finish = kind.removeprefix("response.")
        if self.finish == "failed":
            self.error = failure(response.error or "the provider's response failed")
        elif self.finish == "cancelled":
            self.error = UpstreamError("the provider cancelled its response")
        else:
            reason = response.incomplete_details
            if reason is not None and reason.reason:
                self.finish = reason.reason
            self.response = bytes(raw)
            self.meaningful = self.done = True


def _error_event(status: int, payload: bytes) -> GatewayError:
    return error_event(payload)


def _proofs(payload: bytes) -> Iterator[str]:
    """What in an event, or in a whole response, only its provider can read."""
    try:
        found: _Proofs | None = _PROOFS.decode(payload)
    except UNREADABLE:
        found = None
    while found is not None:
        for item in (found.item, *(found.output or ())):
            if item is not None and item.encrypted_content:
                yield item.encrypted_content
        found = found.response


# --- whole replies ----------------------------------------------------------


def read_response(body: bytes, decode_error: DecodeError) -> Seen:
    """What a response says that is not streamed."""
    response = _RESPONSE.decode(body)
    if response.error is not None:
        if response.object == "response" or response.status is not None:
            raise failure(response.error)
        raise decode_error(200, body)
    reason = response.incomplete_details
    finish = (reason.reason if reason else None) or response.status
    proofs = tuple(_proofs(body)) if _PROOF in body else ()
    return Seen(usage_of(response.usage), finish, proofs)


def whole_response_tap(
    decode_error: DecodeError, limit: int, noted: Noted | None = None
) -> WholeTap:
    """Passes a response that is not streamed, and reads it."""
    return WholeTap(decode_error, limit, read_response, noted=noted)
