"""
A stream of the Messages API to canonical events.

Anthropic, "Streaming messages": blocks come one after another, and event, delta
and block types that are not known yet are to be ignored.
"""

from __future__ import annotations

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import GatewayError, UpstreamCut, UpstreamMalformed
from modelplex.events import (
    Event,
    Failed,
    Finished,
    Started,
    UsageReported,
)
from modelplex.wire import sse
from modelplex.wire.anthropic.block_reader import (
    BLOCKS,
    DELTAS,
    Block,
    BlockReader,
    Delta,
)
from modelplex.wire.anthropic.errors import decode_error
from modelplex.wire.anthropic.words import (
    WireUsage,
    finish_reason,
)


class _Message(Struct):
    id: str = ""
    model: str = ""
    usage: WireUsage | None = None


class _Frame(Struct, gc=False):
    """The payload of any event."""

    type: str
    delta: Delta | None = None
    content_block: Block | None = None
    message: _Message | None = None
    usage: WireUsage | None = None


class _DeltaHead(Struct):
    type: str = ""


class _Head(Struct):
    """As much of an unknown event as it takes to see that it is unknown."""

    type: str
    delta: Raw = Raw(b"{}")
    content_block: Raw = Raw(b"{}")


_FRAME = msgspec.json.Decoder(_Frame)

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)


@define(eq=False)
class AnthropicDecoder:
    """See `modelplex.wire.dialect.StreamDecoder`."""

    _frames: sse.Frames = field(factory=sse.Frames)
    _usage: WireUsage = field(factory=WireUsage)
    _started: bool = False
    done: bool = False
    _blocks: BlockReader = field(factory=BlockReader)
    _stop: Delta = field(factory=Delta)

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            for frame in sse.events(self._frames.feed(chunk)):
                self._frame(frame, events)
                if self.done:
                    break
        except GatewayError as e:
            self._fail(e, events)
        return events

    def eof(self) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        rest = self._frames.rest
        try:
            if not self._started and rest.lstrip().startswith(b"{"):
                raise decode_error(200, rest)  # an error where a stream was due
            self._frame(rest, events)  # some servers leave out the last empty line
        except UpstreamMalformed:
            pass  # the event was cut off
        except GatewayError as e:
            self._fail(e, events)
        if not self.done:
            self._fail(UpstreamCut("the provider closed in mid-answer"), events)
        return events

    def _fail(self, error: GatewayError, events: list[Event]) -> None:
        self.done = True
        events.append(Failed(error))

    def _frame(self, frame: bytes, events: list[Event]) -> None:
        payload = sse.data(frame)
        if payload is None:
            return
        try:
            decoded = _FRAME.decode(payload)
        except (msgspec.DecodeError, RecursionError) as e:
            _ignore(payload, e)
            return
        delta = decoded.delta
        if delta is not None and decoded.type == "content_block_delta":
            self._need_start()
            self._blocks.delta(delta, events)
            return
        match decoded.type:
            case "message_start":
                self._message_start(decoded, events)
            case "content_block_start":
                self._need_start()
                self._blocks.start(decoded.content_block or Block(), events)
            case "content_block_stop":
                self._blocks.stop(events)
            case "message_delta":
                self._need_start()
                if decoded.usage is not None:
                    self._usage = self._usage.updated(decoded.usage)
                    events.append(UsageReported(self._usage.canonical()))
                if delta is not None and delta.stop_reason is not None:
                    self._stop = delta
            case "message_stop":
                self._need_start()
                self._message_stop(events)
            case "error":
                raise decode_error(200, payload)
            case _:
                pass  # ping, or a type not known yet

    def _need_start(self) -> None:
        if not self._started:
            raise UpstreamMalformed("the stream does not begin with message_start")

    def _message_start(self, frame: _Frame, events: list[Event]) -> None:
        if self._started:
            raise UpstreamMalformed("message_start came twice")
        self._started = True
        message = frame.message or _Message()
        events.append(Started(message.id, message.model))
        if message.usage is not None:
            self._usage = message.usage
            events.append(UsageReported(self._usage.canonical()))

    def _message_stop(self, events: list[Event]) -> None:
        self._blocks.stop(events)
        stop = self._stop
        said = stop.stop_details.explanation if stop.stop_details else None
        reason = finish_reason(stop.stop_reason)
        events.append(Finished(reason, stop.stop_sequence, said))
        events.append(UsageReported(self._usage.canonical()))
        self.done = True


def _ignore(payload: bytes, why: Exception) -> None:
    """
    Let an event pass that does not fit because its type is not known yet.

    :raises GatewayError: it is an error event, or it is of a known type.
    """
    try:
        head = msgspec.json.decode(payload, type=_Head)
        if head.type == "error":
            raise decode_error(200, payload)
        if head.type not in _EVENTS:
            return
        delta = msgspec.json.decode(head.delta, type=_DeltaHead | None)
        block = msgspec.json.decode(head.content_block, type=_DeltaHead | None)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamMalformed(f"an event cannot be read: {why}") from None
    if (delta is None or delta.type in {"", *DELTAS}) and (
        block is None or block.type in {"", *BLOCKS}
    ):
        raise UpstreamMalformed(f"an event cannot be read: {why}")
