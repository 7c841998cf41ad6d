"""A provider's stream of response events, or its whole response, decoded."""

from __future__ import annotations

import msgspec

from modelplex.errors import UpstreamMalformed
from modelplex.events import Event, Reply, gather
from modelplex.wire.openai.event_stream import EventStream
from modelplex.wire.responses.events_in import ResponseEvents
from modelplex.wire.upstream import text_of


class ResponsesDecoder:
    """See `modelplex.wire.dialect.StreamDecoder`."""

    def __init__(self) -> None:
        self._events = ResponseEvents()
        self._stream = EventStream(self._events, decode_reply)
        self.done = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        told = self._stream.feed(chunk)
        # There is no other end than the last event.
        self.done = self._stream.done or self._events.finished
        return told

    def eof(self) -> list[Event]:
        if self.done:
            return []
        told = self._stream.eof()
        self.done = True
        return told


def decode_reply(body: bytes) -> Reply:
    """
    What a provider answered in one piece.

    :raises GatewayError: it is an error, or no reply at all.
    """
    try:
        return gather(ResponseEvents().whole(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = text_of(body)
        raise UpstreamMalformed(f"the provider's reply is not one: {said}") from None
