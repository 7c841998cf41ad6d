"""
The way of the legacy era: a session, a POST for each message, and streams that go on.

2025-03-26 to 2025-11-25. A stream that is cut goes on with a GET that names the last
event, if there was one with an id; so servers may end a stream and be asked later.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from modelplex.errors import GatewayError, UpstreamError
from modelplex.mcp.remote_url import Headers, RemoteUrl
from modelplex.mcp.remote_wire import (
    ACCEPT_BOTH,
    ACCEPT_EVENTS,
    EVENTS,
    Deliver,
    EventBody,
    Refusal,
    SessionGone,
    StreamLost,
    delivered,
    failure_in,
    kind_of,
)
from modelplex.outbound.response_head import header
from modelplex.wire.jsonrpc import Answer, Call, Failure, Note, encode
from modelplex.wire.mcp.event_stream import EventReader

RETRY = 1.0  # seconds until a stream is asked for again, unless the server says
MOST = 60.0  # seconds, however often it failed
RESUMED = 5  # times in a row that a stream may go on without a message
_INITIALIZE = "initialize"
_SESSION = 1024  # characters of a session's id


@define(eq=False, repr=False)
class LegacyWire:
    """
    See `modelplex.mcp.remote_wire.Wire`.

    :ivar version: the revision that was agreed on; empty before.
    :ivar session: empty when the server has none.
    """

    log = Logger()

    _url: RemoteUrl
    _clock: IReactorTime
    modern: bool = False
    version: str = ""
    session: str = field(default="", repr=False)

    async def exchange(
        self, call: Call, deliver: Deliver, waiting: Callable[[], bool]
    ) -> int:
        beginning = call.method == _INITIALIZE
        headers = [*ACCEPT_BOTH, *([] if beginning else self._headers())]
        response = await self._url.ask(b"POST", headers, encode(call))
        if response.code != 200:
            if response.code == 404 and self.session and not beginning:
                await self._url.refusal(response)
                raise self._gone()
            if response.code < 400:  # a request is never just accepted
                await self._url.refusal(response)
                raise Refusal(self._url.name, response.code)
            failure = await failure_in(self._url, response, call)
            if self.session and not beginning and _forgot(failure):
                raise self._gone()
            deliver(evolve(failure, id=call.id))
            return int(response.code)
        if beginning:
            self.session = _session_of(header(response, b"mcp-session-id"))
        reader = EventReader()
        await delivered(self._url, response, deliver, waiting, reader)
        if waiting():
            await self._resumed(reader, deliver, waiting)
        return int(response.code)

    async def _resumed(
        self, reader: EventReader, deliver: Deliver, waiting: Callable[[], bool]
    ) -> None:
        """Go on with a stream that has ended before the answer."""
        tries = 0
        while reader.last_id and tries < RESUMED:
            tries += 1
            await deferLater(self._clock, self._pause(reader, tries))
            try:
                body = await self._streamed(reader, deliver, waiting)
            except UpstreamError:
                continue
            if body.heard:
                tries = 0
            if not waiting():
                return
        raise StreamLost(f"{self._url.name}: its answer ended too early")

    def _pause(self, reader: EventReader, tries: int) -> float:
        usual = RETRY if reader.retry is None else reader.retry
        return min(usual * 2.0 ** (tries - 1), MOST)

    async def _streamed(
        self, reader: EventReader, deliver: Deliver, waiting: Callable[[], bool]
    ) -> EventBody:
        """
        Read the stream of a GET, where the last one ended, until it ends.

        :raises Refusal: there is none.
        :raises UpstreamError: it cannot be reached.
        """
        headers = [*ACCEPT_EVENTS, *self._headers()]
        if reader.last_id:
            headers.append((b"last-event-id", reader.last_id.encode("ascii")))
        response = await self._url.ask(b"GET", headers)
        if response.code != 200 or kind_of(response) != EVENTS:
            await self._url.refusal(response)
            raise Refusal(self._url.name, response.code)
        body = EventBody(self._url, reader, deliver, waiting)
        await body.read(response)
        return body

    async def tell(self, message: Note | Answer | Failure) -> None:
        headers = [*ACCEPT_BOTH, *self._headers()]
        response = await self._url.ask(b"POST", headers, encode(message))
        await self._url.refusal(response)
        if response.code >= 300:
            raise Refusal(self._url.name, response.code)

    async def listen(self, deliver: Deliver) -> None:
        reader, tries, heard = EventReader(), 0, False
        while True:
            try:
                body = await self._streamed(reader, deliver, lambda: True)
                tries, heard = (0 if body.heard else tries), True
            except Refusal as e:
                if heard and e.answered in (400, 404):
                    raise self._gone() from None
                if e.answered < 500:
                    return  # it does not offer one (405), or not any more
            except GatewayError as e:
                self.log.debug("{why}; listening again", why=e.message)
            tries += 1
            await deferLater(self._clock, self._pause(reader, min(tries, 16)))

    async def close(self) -> None:
        if self.session:
            response = await self._url.ask(b"DELETE", self._headers())
            await self._url.refusal(response)

    def _gone(self) -> SessionGone:
        return SessionGone(f"{self._url.name}: it has ended our session")

    def _headers(self) -> Headers:
        found: list[tuple[bytes, bytes]] = []
        if self.session:
            found.append((b"mcp-session-id", self.session.encode("ascii")))
        if self.version:
            found.append((b"mcp-protocol-version", self.version.encode("ascii")))
        return found


def _forgot(failure: Failure) -> bool:
    """
    Whether an error with 400 is about our session.

    A server should say so with 404 (2025-11-25, session management); those made after
    the examples of the TypeScript SDK say this, and no id, because they have not looked
    at the request.
    """
    return failure.id is None and "session" in failure.message.lower()


def _session_of(said: str | None) -> str:
    """A session's id, if it is one that can be sent back as it came."""
    text = (said or "").strip()
    usable = text.isascii() and text.isprintable() and " " not in text
    return text if usable and len(text) <= _SESSION else ""
