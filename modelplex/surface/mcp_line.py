"""
MCP a line at a time on a guest's connection, so that ``nc -U`` is a stdio MCP server.

A connection whose first byte is a brace speaks it. Which era, its first request says;
what it asks is answered as it gets ready, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from modelplex.errors import UpstreamMalformed
from modelplex.surface.mcp_running import Running
from modelplex.surface.mcp_served import Served
from modelplex.surface.mcp_session import Session
from modelplex.surface.mcp_single import LISTEN, Listen, SingleCall
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Answer,
    Call,
    Failure,
    Id,
    Message,
    Note,
    RpcError,
    encode,
    parse,
    parse_all,
)
from modelplex.wire.mcp.envelope import opened
from modelplex.wire.mcp.eras import Era, check_era, first_era
from modelplex.wire.mcp.revisions import has_batches
from modelplex.wire.ndjson import Lines

if TYPE_CHECKING:
    from modelplex.surface.channel import GuestChannel

MISSED = 1000  # changes that a client is told once it reads again
LISTENS = 16  # subscriptions of one connection


@define(eq=False)
class LineTalk:
    """
    What one client says on one connection that never was HTTP.

    There is no limit to how long it may be silent once it has said something: a
    program that keeps a stdio server waits for its user.
    """

    _channel: GuestChannel
    _served: Served
    _lines: Lines = field(init=False)
    _running: Running = field(init=False)
    _session: Session = field(init=False)
    _begun: float = field(init=False)
    _era: Era | None = None
    _listens: dict[Id, Listen] = field(factory=dict)
    _since: float | None = None  # when the line that is not complete began
    _missed: dict[bytes, None] = field(factory=dict, repr=False)
    _draining: bool = False
    _input_ended: bool = False
    _over: bool = False

    def __attrs_post_init__(self) -> None:
        site = self._channel.site
        self._lines = Lines(site.limits.max_request_size)
        self._session = Session(self._served, self._tell_change, self._settled)
        self._running = self._session.running
        self._since = self._begun = site.seconds()
        self._draining = site.draining

    # What the channel tells.

    @property
    def busy(self) -> bool:
        """Something runs, or its answer has not left."""
        return not self._over and bool(len(self._running) or self._channel.blocked)

    def dataReceived(self, data: bytes) -> None:
        """Take what has arrived, however it is cut."""
        if self._over:
            return
        site = self._channel.site
        crowded = site.connections > site.limits.max_connections
        if self._era is None and self._channel.surplus and crowded:
            self._close_with(RpcError(INTERNAL_ERROR, "too many connections"))
            return
        if self._since is None:
            self._since = self._channel.site.seconds()
        try:
            lines = self._lines.feed(data)
        except UpstreamMalformed:
            limit = self._channel.site.limits.max_request_size
            error = RpcError(INVALID_REQUEST, f"a line is over {limit} bytes")
            self._close_with(error)
            return
        if data.endswith(b"\n"):
            self._since = None
        elif lines:
            self._since = self._channel.site.seconds()
        for line in lines:
            if self._over:
                return
            self._take(line)

    def resumed(self) -> None:
        """What was written has left."""
        missed, self._missed = self._missed, {}
        for line in missed:
            self._send_change(line)
        self._settled()

    def sweep(self, now: float) -> None:
        """Act on what has taken too long; called every second."""
        limits = self._channel.site.limits
        first = self._era is None
        allowed = limits.header_timeout if first else limits.body_timeout
        if self._since is not None and now - self._since >= allowed:
            self._close_with(RpcError(INVALID_REQUEST, "the line took too long"))
        elif first and now - self._begun >= limits.idle_timeout:
            self._close_with(RpcError(INVALID_REQUEST, "nothing was asked"))

    def finish_up(self) -> None:
        """Begin nothing new, and close once nothing runs."""
        self._draining = True
        for listen in list(self._listens.values()):
            listen.end()
        self._listens.clear()
        self._settled()

    def input_ended(self) -> None:
        """The client sends no more: answer what it asked, and close."""
        for line in self._lines.eof():
            if not self._over:
                self._take(line)
        self._input_ended = True
        for listen in list(self._listens.values()):
            listen.stop()
        self._listens.clear()
        self._settled()

    def lost(self) -> None:
        """The connection is gone, and with it whatever ran for it."""
        self._over = True
        for listen in list(self._listens.values()):
            listen.stop()
        self._listens.clear()
        self._session.close()

    # Ours.

    def _take(self, line: bytes) -> None:
        batches = self._era is Era.LEGACY and has_batches(self._session.version)
        try:
            message = parse_all(line) if batches else parse(line)
        except RpcError as e:
            self._send(encode(e.failure(None)))
            return
        if isinstance(message, list):
            self._batch(message)
            return
        if isinstance(message, Call):
            self._call(message)
        elif self._era is not Era.MODERN:
            self._session.take(message, _LineWay(self))
        elif isinstance(message, Note) and message.method == "notifications/cancelled":
            self._cancel(message.params.get("requestId"))

    def _batch(self, messages: Sequence[Message]) -> None:
        """Answer all of `messages` together, in the one revision that has batches."""
        if any(isinstance(m, Call) and m.method == "initialize" for m in messages):
            error = RpcError(INVALID_REQUEST, "initialize comes alone")
            self._send(encode(error.failure(None)))
            return
        together = _Together(self, sum(isinstance(m, Call) for m in messages))
        for message in messages:
            if isinstance(message, Call) and self._draining:
                error = RpcError(INTERNAL_ERROR, "shutting down")
                together.end(error.failure(message.id))
            else:
                self._session.take(message, together)

    def _call(self, call: Call) -> None:
        way = _LineWay(self)
        try:
            if self._draining:
                raise RpcError(INTERNAL_ERROR, "shutting down")
            if self._era is None:
                era = first_era(call)
                if era is Era.MODERN:
                    opened(call.params)  # a version that is not served decides nothing
                self._era = era
            check_era(self._era, call)
            if self._era is Era.LEGACY:
                self._session.take(call, way)
            else:
                self._modern(call, way)
        except RpcError as e:
            way.end(e.failure(call.id))

    def _modern(self, call: Call, way: _LineWay) -> None:
        envelope = opened(call.params)
        if call.method != LISTEN:
            single = SingleCall(self._served, call, envelope, way)
            self._running.begin(call, single.answered, way)
            return
        if call.id in self._listens or len(self._listens) >= LISTENS:
            raise RpcError(INVALID_REQUEST, f"{LISTENS} subscriptions, each by its id")
        listen = Listen(self._served, call, way)
        listen.begin(envelope)
        self._listens[call.id] = listen

    def _cancel(self, id: object) -> None:
        if isinstance(id, str | int) and not isinstance(id, bool):
            listen = self._listens.pop(id, None)
            if listen is not None:
                listen.stop()
            self._running.cancel(id)

    def _tell_change(self, note: Note) -> None:
        self._send_change(encode(note))

    def _send_change(self, line: bytes) -> None:
        if not self._channel.blocked:
            self._send(line)
        elif len(self._missed) < MISSED:
            self._missed[line] = None  # once is as good as often

    def _send(self, line: bytes, *, droppable: bool = False) -> None:
        if self._over:
            return
        if droppable and self._channel.blocked:
            return
        self._channel.writeSequence([line, b"\n"])

    def _settled(self) -> None:
        """Close if nothing more is to come; tell the site that something has ended."""
        if self._over or self.busy:
            return
        if self._draining or self._input_ended:
            self._over = True
            self._session.close()
            self._channel.loseConnection()
        self._channel.site.settle()

    def _close_with(self, error: RpcError) -> None:
        self._send(encode(error.failure(None)))
        self.lost()
        self._channel.loseConnection()


@define(eq=False)
class _LineWay:
    """The connection, as the way of one call."""

    _talk: LineTalk

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        self._talk._send(encode(message), droppable=droppable)

    def end(self, message: Answer | Failure | None) -> None:
        if message is not None:  # nobody waits for what was cancelled
            self._talk._send(encode(message))


@define(eq=False)
class _Together(_LineWay):
    """The connection, as the way of every call of one batch."""

    _left: int
    _told: list[bytes] = field(factory=list)

    def end(self, message: Answer | Failure | None) -> None:
        if message is not None:
            self._told.append(encode(message))
        self._left -= 1
        if not self._left and self._told:
            self._talk._send(b"[" + b",".join(self._told) + b"]")
