"""The outside of every OpenAI stream: frames, ``[DONE]``, errors, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from modelplex.errors import GatewayError, UpstreamCut, UpstreamMalformed
from modelplex.events import Event, Failed, Reply, spread
from modelplex.wire import sse

_BOM = b"\xef\xbb\xbf"
_WORD = 6  # bytes of the longest field name with its colon: all that a look needs


class ChunkReader(Protocol):
    """
    What one dialect's chunks mean.

    :ivar finished: `Finished` was given; the answer is complete.
    """

    finished: bool

    def read(self, payload: bytes) -> list[Event]:
        """
        The events of one chunk.

        :raises GatewayError: it is an error.
        :raises msgspec.DecodeError: it is not what a chunk looks like.
        """

    def finish(self) -> list[Event]:
        """The events of a ``[DONE]`` that no finish reason came before."""


class EventStream:
    """
    A `StreamDecoder` around a `ChunkReader`.

    A server that answers a stream request with one JSON object is understood too,
    be it a whole reply or an error.

    :param whole: reads a reply that came in one piece.
    :param limit: bytes of such a reply.
    """

    def __init__(
        self,
        chunks: ChunkReader,
        whole: Callable[[bytes], Reply],
        limit: int = 16 * 2**20,
    ) -> None:
        self._chunks = chunks
        self._whole = whole
        self._limit = limit
        self._frames = sse.Frames(limit)
        self._head: bytes | None = b""  # until it is known to be an event stream
        self._body: list[bytes] | None = None  # when it is none
        self._size = 0
        self.done = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        if self._head is not None:
            chunk = self._look(chunk, last=False)
        if self._body is not None:
            return self._keep(chunk)
        try:
            block = self._frames.feed(chunk)
        except GatewayError as e:
            return self._failed([], e)
        if not block:
            return []
        told: list[Event] = []
        for event in sse.events(block):
            payload = sse.data(event)
            if payload:
                self._take(payload, told)
                if self.done:
                    break
        return told

    def eof(self) -> list[Event]:
        if self.done:
            return []
        told: list[Event] = []
        if self._head is not None:
            told += self.feed(self._look(b"", last=True))
        if self._body is not None:
            self.done = True
            try:
                return list(spread(self._whole(b"".join(self._body))))
            except GatewayError as e:
                return [Failed(e)]
        # Some servers leave out the empty line after the last event.
        payload = sse.data(self._frames.rest.strip(b"\r\n"))
        if payload and not self.done and _is_complete(payload):
            self._take(payload, told)
        if not self.done and not self._chunks.finished:
            cut = UpstreamCut("the provider's stream ended before its answer did")
            return self._failed(told, cut)
        self.done = True
        return told

    def _look(self, chunk: bytes, last: bool) -> bytes:
        """Give the held back start once enough is here to tell what it is."""
        head = (self._head or b"") + chunk
        start = head.removeprefix(_BOM).lstrip(b"\r\n")
        line = b"\n" in start or b"\r" in start
        if not last and not line and len(start) < _WORD:
            # Of empty lines one is kept: what follows them is no byte order mark.
            self._head = b"\n" + start if head[:1] in (b"\r", b"\n") else head
            return b""
        self._head = None
        if start and not sse.looks_like_events(start):
            self._body = []
        return head.removeprefix(_BOM)

    def _keep(self, chunk: bytes) -> list[Event]:
        assert self._body is not None
        self._size += len(chunk)
        self._body.append(chunk)
        if self._size <= self._limit:
            return []
        self._body.clear()
        error = UpstreamMalformed(f"the provider's reply is over {self._limit} bytes")
        return self._failed([], error)

    def _take(self, payload: bytes, told: list[Event]) -> None:
        if payload.startswith(b"[DONE]"):
            self._done(told)
            return
        try:
            told += self._chunks.read(payload)
        except GatewayError as e:
            self._failed(told, e)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if payload.isspace():
                return
            error = UpstreamMalformed("the provider's stream holds no valid chunk")
            self._failed(told, error)

    def _done(self, told: list[Event]) -> None:
        if not self._chunks.finished:
            try:
                told += self._chunks.finish()
            except GatewayError as e:
                self._failed(told, e)
        self.done = True

    def _failed(self, told: list[Event], error: GatewayError) -> list[Event]:
        """End; an answer that was already complete stays so."""
        self.done = True
        if not self._chunks.finished:
            told.append(Failed(error))
        return told


def _is_complete(payload: bytes) -> bool:
    if payload.startswith(b"[DONE]"):
        return True
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
