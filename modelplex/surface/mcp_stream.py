"""Streams of one session's events, which a client may come back to."""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from modelplex.surface.mcp_reply import Reply
from modelplex.wire.jsonrpc import Message, encode

EVENTS = 256  # that are kept of one session
SIZE = 2**20  # bytes of them
UNREAD = 2**18  # bytes that are written to a client that does not read


@frozen
class _Kept:
    stream: int
    number: int
    payload: bytes = field(repr=False)


@define(eq=False)
class History:
    """What was told on the streams of one session, as far back as there is room."""

    _kept: deque[_Kept] = field(factory=deque, repr=False)
    _size: int = 0

    def __len__(self) -> int:
        return len(self._kept)

    def record(self, stream: int, number: int, payload: bytes) -> None:
        """Keep an event; the oldest make room for it."""
        if len(payload) > SIZE:
            return
        self._kept.append(_Kept(stream, number, payload))
        self._size += len(payload)
        while len(self._kept) > EVENTS or self._size > SIZE:
            self._size -= len(self._kept.popleft().payload)

    def after(self, stream: int, number: int) -> list[tuple[int, bytes]]:
        """The events of `stream` later than `number`, as far as they are kept."""
        return [
            (one.number, one.payload)
            for one in self._kept
            if one.stream == stream and one.number > number
        ]

    def forget(self) -> None:
        """Keep nothing."""
        self._kept.clear()
        self._size = 0


@define(eq=False)
class Stream:
    """
    The events of one call, or of a session itself.

    They have ids, so that a client that was cut off can ask for the rest.

    :ivar number: tells the streams of a session apart.
    :ivar primed: it begins with an id, before there is anything to tell.
    :ivar ended: nothing more is told.
    """

    number: int
    _history: History
    primed: bool = False
    ended: bool = False
    _reply: Reply | None = None
    _told: int = 0
    _read: int = 0
    _unread: int = 0  # bytes

    @property
    def attached(self) -> bool:
        """Somebody reads it."""
        return self._reply is not None and self._reply.open

    @property
    def begun(self) -> bool:
        """Something was told, or the client was shown that something will be."""
        return self._told > 0 or (self._reply is not None and self._reply.begun)

    def attach(self, reply: Reply, after: int | None = None) -> bool:
        """
        Tell on over `reply`.

        :param after: the last event that the client has; ``None`` for whatever was
            never written to one.
        :returns: whether nothing in between is lost; else nothing is told.
        """
        since = self._read if after is None else after
        missed = self._history.after(self.number, since)
        numbers = [number for number, _ in missed]
        if since > self._told:
            return False
        if after is not None and numbers != list(range(since + 1, self._told + 1)):
            return False
        self._reply = reply
        self._unread = 0
        for number, payload in missed:
            reply.event(payload, self._id(number))
        self._read = self._told
        reply.waited = self.begin
        if self.ended:
            reply.begin()
            reply.finish()
        return True

    def begin(self) -> None:
        """Be a stream before there is anything to tell."""
        if self._reply is not None:
            self._reply.begin()
            self._prime()

    def detach(self, reply: Reply) -> None:
        """Nobody reads it over `reply` any more."""
        if self._reply is reply:
            self._reply = None

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        """Tell `message`, unless it may be lost and the client does not read."""
        unread = self._reply is not None and self._reply.blocked
        if self.ended or (droppable and unread):
            return
        self._prime()
        self.event(encode(message))

    def finish(self, payload: bytes) -> None:
        """Tell `payload` and nothing after it."""
        if self.ended:
            return
        self.ended = True
        reply = self._reply
        if reply is not None and not reply.begun:
            reply.finish(payload)
        else:
            if payload and (reply is not None or self._told):
                self.event(payload)
            if reply is not None:
                reply.finish()
        self._reply = None

    def event(self, payload: bytes) -> None:
        """Tell `payload`, which is a message."""
        self._told += 1
        self._history.record(self.number, self._told, payload)
        reply = self._reply
        if reply is None:
            return
        self._unread = self._unread + len(payload) if reply.blocked else 0
        if self._unread > UNREAD and not self.ended:
            self._reply = None
            reply.cut()
            return
        self._read = self._told
        reply.event(payload, self._id(self._told))

    def _prime(self) -> None:
        if self.primed and not self._told:
            self._told = self._read = 1
            self._history.record(self.number, 1, b"")
            if self._reply is not None:
                self._reply.event(b"", self._id(1))

    def _id(self, number: int) -> str:
        return f"{self.number}-{number}"
