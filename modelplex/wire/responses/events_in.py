"""The events of a provider's response, and whole responses, to canonical events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from modelplex.errors import UpstreamCut, UpstreamError, UpstreamMalformed
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    UsageReported,
)
from modelplex.wire.responses.errors import error_event, failure
from modelplex.wire.responses.items_in import KINDS, Item, ItemReader, Part, Slot
from modelplex.wire.responses.usage import usage_of

_NOTHING = msgspec.Raw()


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


class _Event(msgspec.Struct, gc=False):
    """Any event: each type sets a member or two of its own."""

    type: str
    delta: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    logprobs: list[Any] | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: msgspec.Raw = _NOTHING
    response: msgspec.Raw = _NOTHING
    part: msgspec.Raw = _NOTHING
    annotation: Any = None


class _Head(msgspec.Struct):
    type: str = ""


_EVENT = msgspec.json.Decoder(_Event)
_RESPONSE = msgspec.json.Decoder(_Response)
_ITEM = msgspec.json.Decoder(Item)
_PART = msgspec.json.Decoder(Part)
_HEAD = msgspec.json.Decoder(_Head)


class ResponseEvents:
    """
    Reads the events of one response; see `modelplex.wire.openai.event_stream`.

    :ivar finished: the response has ended; what follows is of no interest.
    """

    def __init__(self) -> None:
        self.finished = False
        self._started = False
        self._items = ItemReader()

    def read(self, payload: bytes) -> list[Event]:
        if self.finished:
            return []
        try:
            event = _EVENT.decode(payload)
        except msgspec.ValidationError:
            self._unread(payload)
            return []
        told: list[Event] = []
        if event.type == "response.output_text.delta" and self._started:
            # Nearly all events are this one.
            if event.delta:
                slot = self._items.slot(event.output_index, event.item_id)
                part = event.content_index or 0
                self._items.text(slot, part, event.delta, told)
            if event.logprobs:
                slot = self._items.slot(event.output_index, event.item_id)
                self._items.logprobs(slot, event.logprobs, told)
            return told
        if event.type == "error":
            raise error_event(payload)
        read = _READ.get(event.type)
        if read is not None:
            if not self._started and event.response is _NOTHING:
                self._start(_Response(), told)
            read(self, event, told)
        return told

    def finish(self) -> list[Event]:
        raise UpstreamCut("the provider's stream ended before its response did")

    def whole(self, body: bytes) -> list[Event]:
        """
        The events of a response that came in one piece.

        :raises GatewayError: it is an error, or no complete response.
        :raises msgspec.DecodeError: it is not what a response looks like.
        """
        response = _RESPONSE.decode(body)
        if response.output is None and response.error is None:
            raise UpstreamMalformed("the provider's reply has no answer in it")
        if response.status in ("queued", "in_progress"):
            raise UpstreamMalformed("the provider's reply is not complete")
        told: list[Event] = []
        self._start(response, told)
        self._end(response, response.status or "completed", told)
        return told

    def _unread(self, payload: bytes) -> None:
        """
        Let an event pass that does not fit because its type is not known yet.

        :raises GatewayError: it is an error, or of a type that is known.
        :raises msgspec.DecodeError: it is no event at all.
        """
        kind = _HEAD.decode(payload).type
        if kind == "error":
            raise error_event(payload)
        if not kind or kind in _READ:
            if (error := msgspec.json.decode(payload).get("error")) is not None:
                raise failure(error)
            raise UpstreamMalformed("the provider's stream holds an unreadable event")

    def _start(self, response: _Response, told: list[Event]) -> None:
        if not self._started:
            self._started = True
            told.append(Started(response.id or "", response.model or ""))

    def _slot(self, event: _Event) -> Slot | None:
        return self._items.slot(event.output_index, event.item_id)

    # --- one method for each type of event

    def _lifecycle(self, event: _Event, told: list[Event]) -> None:
        self._start(_response(event), told)

    def _terminal(self, event: _Event, told: list[Event]) -> None:
        response = _response(event)
        self._start(response, told)
        self._end(response, event.type.removeprefix("response."), told)

    def _added(self, event: _Event, told: list[Event]) -> None:
        item = _item(event.item)
        if item is not None:
            self._items.added(item, event.output_index, told)

    def _done(self, event: _Event, told: list[Event]) -> None:
        item = _item(event.item)
        if item is None:
            return
        slot = self._items.slot(event.output_index, item.id)
        if slot is None or (event.output_index is None and slot.done):
            slot = self._items.added(item, event.output_index, told)
        self._items.done(slot, item, told)

    def _text(self, event: _Event, told: list[Event]) -> None:
        slot, part = self._slot(event), event.content_index or 0
        if event.delta:
            self._items.text(slot, part, event.delta, told)
        if event.logprobs:
            self._items.logprobs(slot, event.logprobs, told)

    def _text_done(self, event: _Event, told: list[Event]) -> None:
        self._whole_part(event, Part("output_text", event.text), told)

    def _refusal(self, event: _Event, told: list[Event]) -> None:
        if event.delta:
            part = event.content_index or 0
            self._items.refusal(self._slot(event), part, event.delta, told)

    def _refusal_done(self, event: _Event, told: list[Event]) -> None:
        self._whole_part(event, Part("refusal", refusal=event.refusal), told)

    def _part_done(self, event: _Event, told: list[Event]) -> None:
        self._whole_part(event, _PART.decode(event.part or b"{}"), told)

    def _whole_part(self, event: _Event, part: Part, told: list[Event]) -> None:
        slot = self._slot(event)
        if slot is not None and slot.kind == "message":
            self._items.part(slot, event.content_index or 0, part, told)

    def _annotation(self, event: _Event, told: list[Event]) -> None:
        if event.annotation is not None:
            self._items.annotation(self._slot(event), event.annotation, told)

    def _summary(self, event: _Event, told: list[Event]) -> None:
        if event.delta:
            piece = event.summary_index or 0
            self._items.thought(self._slot(event), "summary", piece, event.delta, told)

    def _reasoning(self, event: _Event, told: list[Event]) -> None:
        if event.delta:
            piece = event.content_index or 0
            self._items.thought(self._slot(event), "content", piece, event.delta, told)

    def _arguments(self, event: _Event, told: list[Event]) -> None:
        if event.delta:
            self._items.arguments(self._slot(event), event.delta, told)

    def _arguments_done(self, event: _Event, told: list[Event]) -> None:
        slot = self._slot(event)
        whole = event.input if event.arguments is None else event.arguments
        if slot is not None and not slot.told and whole:
            self._items.arguments(slot, whole, told)

    # --- the end

    def _end(self, response: _Response, status: str, told: list[Event]) -> None:
        if status == "failed" or response.error is not None:
            raise failure(response.error or "the provider's response failed")
        if status == "cancelled":
            raise UpstreamError("the provider cancelled its response")
        if not self._items.told:
            for raw in response.output or ():
                if (item := _item(raw)) is not None:
                    self._items.done(self._items.added(item, None, told), item, told)
        self._items.flush(told)
        self.finished = True
        reason = response.incomplete_details
        said = reason.reason if reason is not None else None
        told.append(Finished(self._reason(status, said)))
        usage = usage_of(response.usage)
        if usage is not None:
            told.append(UsageReported(usage))

    def _reason(self, status: str, said: str | None) -> FinishReason:
        if status == "incomplete":
            if said == "content_filter":
                return FinishReason.REFUSAL
            return FinishReason.PAUSE if said == "steered" else FinishReason.LENGTH
        if self._items.calls:
            return FinishReason.TOOL_CALLS
        return FinishReason.REFUSAL if self._items.refused else FinishReason.STOP


def _response(event: _Event) -> _Response:
    return _RESPONSE.decode(event.response or b"{}")


def _item(raw: msgspec.Raw) -> Item | None:
    """The item, or ``None`` for one of a type that tells nothing."""
    if not raw or _HEAD.decode(raw).type not in KINDS:
        return None
    return _ITEM.decode(raw)


_READ: dict[str, Callable[[ResponseEvents, _Event, list[Event]], None]] = {
    "response.created": ResponseEvents._lifecycle,
    "response.queued": ResponseEvents._lifecycle,
    "response.in_progress": ResponseEvents._lifecycle,
    "response.completed": ResponseEvents._terminal,
    "response.incomplete": ResponseEvents._terminal,
    "response.failed": ResponseEvents._terminal,
    "response.cancelled": ResponseEvents._terminal,
    "response.output_item.added": ResponseEvents._added,
    "response.output_item.done": ResponseEvents._done,
    "response.content_part.done": ResponseEvents._part_done,
    "response.output_text.delta": ResponseEvents._text,
    "response.output_text.done": ResponseEvents._text_done,
    "response.output_text.annotation.added": ResponseEvents._annotation,
    "response.refusal.delta": ResponseEvents._refusal,
    "response.refusal.done": ResponseEvents._refusal_done,
    "response.reasoning_summary_text.delta": ResponseEvents._summary,
    "response.reasoning_text.delta": ResponseEvents._reasoning,
    "response.function_call_arguments.delta": ResponseEvents._arguments,
    "response.function_call_arguments.done": ResponseEvents._arguments_done,
    "response.custom_tool_call_input.delta": ResponseEvents._arguments,
    "response.custom_tool_call_input.done": ResponseEvents._arguments_done,
}
