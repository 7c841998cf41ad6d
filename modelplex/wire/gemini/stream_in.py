"""
A stream of the Gemini API to canonical events.

It comes as server-sent events, or without ``alt=sse`` as one growing array. An error
may come in place of either and in the middle of both, bare or in an array. The end
is the end of the body, after a finish reason was seen.
"""

from __future__ import annotations

import re

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError, UpstreamMalformed
from modelplex.events import Event, Failed
from modelplex.wire import sse
from modelplex.wire.gemini.chunk_reader import ChunkReader
from modelplex.wire.gemini.json_frames import JsonFrames

# Nearly every chunk that a provider flushes is one event.
_ONE = re.compile(rb"data: (\{[^\r\n]*)(?:\r\n\r\n|\n\n)")
_BOM = b"\xef\xbb\xbf"


@define(eq=False)
class GeminiDecoder:
    """See `modelplex.wire.dialect.StreamDecoder`."""

    done: bool = False
    _chunks: ChunkReader = field(factory=ChunkReader)
    _head: bytes | None = b""  # until it is known what the stream is
    _json: JsonFrames | None = None
    _frames: sse.Frames = field(factory=sse.Frames)

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            if self._head is not None:
                chunk = self._look(chunk)
            if self._json is None and not self._frames.unfinished:
                one = _ONE.fullmatch(chunk)
                if one is not None:
                    self._payload(one[1], events)
                    return events
            if self._json is None:
                for frame in sse.events(self._frames.feed(chunk)):
                    self._frame(frame, events)
            else:
                self._objects(chunk, events)
        except GatewayError as e:
            self._fail(e, events)
        return events

    def eof(self) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            rest = (self._head or b"") + self._frames.rest
            if rest and self._json is None:
                self._last(rest, events)
            self._end(events)
        except GatewayError as e:
            self._fail(e, events)
        return events

    def _look(self, chunk: bytes) -> bytes:
        """Hold the start back until a byte tells what it is."""
        assert self._head is not None
        head = self._head + chunk
        if _BOM.startswith(head):
            self._head = head
            return b""
        start = head.removeprefix(_BOM).lstrip(b" \t\r\n")
        if not start:
            self._head = head[:3] if head.startswith(_BOM) else b"\n"
            return b""
        self._head = None
        if start[:1] in (b"{", b"["):
            self._json = JsonFrames()
        return start

    def _objects(self, chunk: bytes, events: list[Event]) -> None:
        assert self._json is not None
        for payload in self._json.feed(chunk):
            self._payload(payload, events)
        if self._json.closed:
            self._end(events)

    def _frame(self, frame: bytes, events: list[Event]) -> None:
        payload = sse.data(frame)
        if payload is None:
            payload = frame.strip()
            if payload[:1] not in (b"{", b"["):  # an error may come bare
                return
        if payload[:1] == b"[":
            for item in JsonFrames().feed(payload):
                self._payload(item, events)
        else:
            self._payload(payload, events)

    def _last(self, rest: bytes, events: list[Event]) -> None:
        """Read what no empty line came after, unless it was cut off."""
        payload = sse.data(rest.strip(b"\r\n")) or rest
        for item in JsonFrames().feed(payload):
            self._payload(item, events)

    def _payload(self, payload: bytes, events: list[Event]) -> None:
        try:
            self._chunks.read(payload, events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            if not payload.strip():
                return
            raise UpstreamMalformed(f"a chunk cannot be read: {e}") from None

    def _end(self, events: list[Event]) -> None:
        self.done = True
        self._chunks.finish(events)

    def _fail(self, error: GatewayError, events: list[Event]) -> None:
        self.done = True
        events += self._chunks.spent()
        events.append(Failed(error))
