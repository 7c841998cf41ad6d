"""
Servers of 2024-11-05: one stream for all that the server says, and a URL to POST to.

The stream's first event names that URL, and the server's session is a part of it. Like
a child's output the stream is everybody's, so one conversation has it all.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure as Broken

from modelplex.errors import GatewayError, UpstreamError
from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.conversation import Conversation
from modelplex.mcp.handshake import Opened
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.remote_address import Place
from modelplex.mcp.remote_body import Body
from modelplex.mcp.remote_link import Owner
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.mcp.remote_url import RemoteUrl
from modelplex.mcp.remote_wire import (
    ACCEPT_BOTH,
    ACCEPT_EVENTS,
    EVENTS,
    Refusal,
    StreamLost,
    kind_of,
    meaning,
    messages,
)
from modelplex.timing import limited
from modelplex.tools import Caller, ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    Call,
    Failure,
    Message,
    Params,
    Result,
    RpcError,
    parse,
)
from modelplex.wire.mcp.event_stream import EventReader, ServerEvent

POSTING = 30.0  # seconds until a message must have been taken


@define(eq=False, repr=False)
class SseLink:
    """See `modelplex.mcp.remote_link.Link`."""

    log = Logger()

    _us: Ourselves
    _url: RemoteUrl
    _settings: RemoteSettings
    _clock: IReactorTime
    _owner: Owner
    uris: set[str] = field(factory=set)
    _conversation: Conversation = field(init=False)
    _reader: EventReader = field(factory=EventReader)
    _body: Body | None = None
    _place: Place | None = None
    _named: Deferred[None] = field(factory=Deferred)
    _ready: Deferred[None] = field(factory=Deferred)
    _turn: DeferredLock = field(factory=DeferredLock)
    _posting: set[Deferred[Any]] = field(factory=set)
    _over: bool = False

    def __attrs_post_init__(self) -> None:
        session = ClientSession(self._us, "legacy")
        self._conversation = Conversation(
            self._settings.name, session, self._send, self._clock, self
        )

    @property
    def agreed(self) -> Opened:
        """On what."""
        return self._conversation.opened

    @property
    def in_flight(self) -> int:
        """How many requests wait for the server."""
        return self._conversation.session.in_flight

    async def open(self) -> None:
        """
        Open the stream, and begin.

        :raises ToolServerError: it is no such server, or cannot be asked.
        :raises UpstreamError: it cannot be reached.
        """
        response = await self._url.ask(b"GET", ACCEPT_EVENTS)
        if response.code != 200 or kind_of(response) != EVENTS:
            await self._url.refusal(response)
            raise Refusal(self._url.name, response.code)
        self._body = self._url.deliver(response, self._take)
        self._body.ended.addBoth(self._ended)
        await self._named
        self._conversation.begin()
        await self._ready

    def begin(self) -> None:
        """All comes on the one stream, which is open already."""

    async def request(self, method: str, params: Params, caller: Caller) -> Result:
        """Make a guest's request; see `IToolServer.request`."""
        idle, cap = self._settings.timeout, self._settings.timeout_cap
        return await self._conversation.request(method, params, caller, idle, cap)

    async def ask(self, method: str, params: Params) -> Result:
        """Make a request of our own; as `request`."""
        return await self._conversation.ask(method, params, self._settings.timeout)

    def listen_anew(self) -> None:
        """It tells of whatever was subscribed to."""

    async def close(self, error: GatewayError) -> None:
        """End it: requests fail with `error`."""
        self.drop(error)

    def drop(self, error: GatewayError) -> None:
        """End it at once: such a server is not told."""
        self._fail(error)
        for posting in list(self._posting):
            posting.cancel()

    async def retire(self) -> None:
        """Its stream is gone, and nobody waits any more."""
        await self.close(StreamLost(f"{self._settings.name}: its stream has ended"))

    # What comes

    def _take(self, chunk: bytes) -> None:
        for event in self._reader.feed(chunk):
            if event.kind == "endpoint" and self._place is None:
                self._endpoint(event)
            elif event.kind == "message":
                self._message(event)

    def _endpoint(self, event: ServerEvent) -> None:
        self._place = self._url.place.joined(event.data.decode("utf-8", "replace"))
        if self._place is None:
            name = self._settings.name
            raise ToolServerError(f"{name}: its stream leads to another host")
        if not self._named.called:
            self._named.callback(None)

    def _message(self, event: ServerEvent) -> None:
        try:
            found = messages(event.data)
        except RpcError as e:
            self.log.warn(
                "Tool server {name} sent what is no message: {why}",
                name=self._settings.name,
                why=e.message,
            )
            return
        for message in found:
            self._conversation.received(message)

    def _ended(self, outcome: bool | Broken) -> None:
        error: GatewayError = StreamLost(f"{self._settings.name}: its stream has ended")
        if isinstance(outcome, Broken) and isinstance(outcome.value, ToolServerError):
            error = outcome.value
        self._fail(error)

    def _fail(self, error: GatewayError) -> None:
        if self._over:
            return
        self._over = True
        if self._body is not None:
            self._body.stop()
        self._conversation.close(error)
        for waiting in (self._named, self._ready):
            if not waiting.called:
                waiting.errback(error)
                waiting.addErrback(_told)  # if nobody waits
        self._owner.lost(self)

    # What is sent

    def _send(self, text: bytes) -> None:
        posting = Deferred.fromCoroutine(self._posted(parse(text), text))
        self._posting.add(posting)

        def posted(outcome: Any) -> Any:
            self._posting.discard(posting)
            return outcome

        posting.addBoth(posted)
        posting.addErrback(_cancelled)

    async def _posted(self, message: Message, text: bytes) -> None:
        """In turn: what comes first on one stream comes first."""
        async with self._turn:
            if self._place is None or self._over:
                return
            try:
                await limited(
                    Deferred.fromCoroutine(self._post(text, self._place)),
                    POSTING,
                    self._clock,
                    lambda: ToolServerTimeout(f"{self._settings.name}: it is silent"),
                )
            except Refusal as e:
                if isinstance(message, Call) and e.answered != 404:
                    failure = Failure(message.id, INTERNAL_ERROR, e.message)
                    self._conversation.received(failure)
                else:
                    self._fail(e)
            except UpstreamError as e:
                self._fail(meaning(e, self._settings.name))
            except ToolServerError as e:
                self._fail(e)

    async def _post(self, text: bytes, place: Place) -> None:
        response = await self._url.ask(b"POST", ACCEPT_BOTH, text, place)
        await self._url.refusal(response)
        if response.code >= 300:
            raise Refusal(self._url.name, response.code)

    # What its conversation hears

    def opened(self, opened: Opened) -> None:
        if not self._ready.called:
            self._ready.callback(None)

    def unfit(self, why: str) -> None:
        self._fail(ToolServerError(f"{self._settings.name}: {why}"))

    def changed(self) -> None:
        self._owner.changed()

    def updated(self, uri: str) -> None:
        self._owner.updated(uri)


def _told(_: Broken) -> None:
    """Whoever has the conversation knows."""


def _cancelled(failure: Broken) -> None:
    failure.trap(CancelledError)
