"""Requests to the URL of a remote server, with what proves who asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IResponse

from modelplex.errors import UpstreamTimeout
from modelplex.mcp.remote_address import Place
from modelplex.mcp.remote_body import Body
from modelplex.outbound.body import read_body
from modelplex.outbound.response_head import header
from modelplex.outbound.transport import Transport
from modelplex.tools import ToolServerError

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

HOPS = 3  # redirects that are followed
ROUNDS = 3  # times that a server may ask for other credentials, for one request
REFUSAL = 2**16  # bytes of an error that are read
READING = 5.0  # seconds in which they must have come
_MOVED = (307, 308)
_MOVED_GET = (301, 302, 303)


class Authority(Protocol):
    """Where the credentials for a server come from."""

    @property
    def secrets(self) -> Sequence[str]:
        """Texts that must not be shown, as far as they are known."""

    async def headers(self) -> Headers:
        """
        What to send now; nothing, as long as the server has not asked for it.

        :raises GatewayError: there are no credentials to be had.
        """

    async def challenged(self, status: int, challenge: str, sent: Headers) -> bool:
        """
        The server wants others.

        :param challenge: its ``WWW-Authenticate``; empty for none.
        :param sent: what it did not take.
        :returns: whether it is worth asking again.
        :raises GatewayError: there are none to be had.
        """

    async def close(self) -> None:
        """Give up what is under way."""


@define(eq=False)
class RemoteUrl:
    """
    One URL. Redirects stay on its origin, so credentials do.

    :ivar name: how errors call the server.
    """

    name: str
    _place: Place
    _transport: Transport = field(repr=False)
    _headers: Headers = field(repr=False)
    _authority: Authority | None
    _clock: IReactorTime
    _bodies: set[Body] = field(factory=set)
    _quiet: list[Deferred[None]] = field(factory=list)

    @property
    def place(self) -> Place:
        """Where it is."""
        return self._place

    async def ask(
        self,
        method: bytes,
        headers: Headers,
        body: bytes | None = None,
        place: Place | None = None,
    ) -> IResponse:
        """
        Send one request.

        :param place: another URL of the same origin.
        :returns: when the headers of the answer are there, whatever its status.
        :raises ToolServerError: there was no answer, or it leads elsewhere.
        :raises UpstreamError: the connection was cut before an answer.
        """
        place = place or self._place
        proof: Headers
        hops = rounds = 0
        while True:
            proof = () if self._authority is None else await self._proof()
            response = await self._transport.request(
                method, place.target, [*self._headers, *headers, *proof], body
            )
            status = response.code
            if status in _MOVED or (status in _MOVED_GET and method == b"GET"):
                place = await self._moved(response, place)
                hops += 1
                if hops > HOPS:
                    raise ToolServerError(f"{self.name}: redirected too often")
            elif (
                status in (401, 403)
                and self._authority is not None
                and rounds < ROUNDS
                and await self._challenged(response, proof)
            ):
                rounds += 1
            else:
                return response

    async def _proof(self) -> Headers:
        assert self._authority is not None
        return await self._authority.headers()

    async def _challenged(self, response: IResponse, sent: Headers) -> bool:
        assert self._authority is not None
        challenges = response.headers.getRawHeaders(b"www-authenticate") or []
        said = b", ".join(challenges).decode("latin-1")
        again = await self._authority.challenged(response.code, said, sent)
        if again:
            await self.refusal(response)  # or its connection is lost
        return again

    async def _moved(self, response: IResponse, place: Place) -> Place:
        await self.refusal(response)
        found = place.joined(header(response, b"location") or "")
        if found is None:
            raise ToolServerError(f"{self.name}: redirected to another host")
        return found

    def deliver(self, response: IResponse, take: Callable[[bytes], None]) -> Body:
        """Give `take` the body of an answer as it comes."""
        body = Body(take, self._clock, self._gone)
        self._bodies.add(body)
        response.deliverBody(body)
        return body

    async def refusal(self, response: IResponse) -> bytes:
        """The start of the body of an answer that is none."""
        try:
            return await read_body(response, REFUSAL, self._clock, READING)
        except UpstreamTimeout:
            return b""

    async def whole(self, response: IResponse, limit: int) -> bytes:
        """
        The body of an answer.

        :raises ToolServerError: it is over `limit` bytes, or was cut.
        """
        pieces: list[bytes] = []
        size = 0

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > limit:
                raise ToolServerError(f"{self.name}: an answer is over {limit} bytes")
            pieces.append(data)

        if not await self.deliver(response, take).ended:
            raise ToolServerError(f"{self.name}: the connection broke in its answer")
        return b"".join(pieces)

    def _gone(self, body: Body) -> None:
        self._bodies.discard(body)
        if not self._bodies:
            quiet, self._quiet = self._quiet, []
            for one in quiet:
                one.callback(None)

    async def close(self) -> None:
        """Hang up on everything, and wait until it is so."""
        for body in list(self._bodies):
            body.stop()
        if self._bodies:
            quiet: Deferred[None] = Deferred()
            self._quiet.append(quiet)
            await quiet
        if self._authority is not None:
            await self._authority.close()
        await self._transport.close()
