"""How the messages of a conversation travel over HTTP; each era has its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Broken
from twisted.web.iweb import IResponse

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
)
from modelplex.mcp.remote_body import Body
from modelplex.mcp.remote_url import RemoteUrl
from modelplex.outbound.response_head import header
from modelplex.tools import ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import (
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
    parse_all,
)
from modelplex.wire.mcp.event_stream import LARGEST, EventReader

log = Logger()

JSON = "application/json"
EVENTS = "text/event-stream"
STREAM = 256 * 2**20  # bytes of one stream; then it is over
ACCEPT_BOTH = (
    (b"accept", b"application/json, text/event-stream"),
    (b"content-type", b"application/json"),
)
ACCEPT_EVENTS = ((b"accept", b"text/event-stream"),)

Deliver: TypeAlias = Callable[[Message], None]


class Refusal(ToolServerError):
    """
    The server answered with an error of HTTP and no message.

    :ivar answered: its status.
    """

    def __init__(self, name: str, answered: int) -> None:
        super().__init__(f"{name}: it answered {answered}")
        self.answered = answered


class SessionGone(ToolServerError):
    """The server knows our session no longer, and has not looked at the request."""


class StreamLost(ToolServerError):
    """The answer broke off; whether the request was carried out is not known."""


def meaning(error: UpstreamError, name: str) -> ToolServerError:
    """A failure to reach a server, as those who call its tools are told."""
    said = error.message if error.message.startswith(name) else f"{name}: {error}"
    if isinstance(error, UpstreamCut):
        return StreamLost(said)
    if isinstance(error, UpstreamTimeout):
        return ToolServerTimeout(said)
    return ToolServerError(said)


class Wire(Protocol):
    """
    One way.

    :ivar modern: giving a request up is hanging up on it, and there is nothing else
        to tell.
    """

    modern: bool

    async def exchange(
        self, call: Call, deliver: Deliver, waiting: Callable[[], bool]
    ) -> int:
        """
        Carry a request, and give `deliver` what comes back, until it is answered.

        :param waiting: whether it is not answered yet.
        :returns: the status of the answer.
        :raises ToolServerError: it will not be.
        :raises UpstreamError: it will not be.

        Cancelling hangs up.
        """

    async def tell(self, message: Note | Answer | Failure) -> None:
        """Carry a message that nobody answers."""

    async def listen(self, deliver: Deliver) -> None:
        """
        Give `deliver` what the server says unasked, as long as it says anything.

        :raises SessionGone: see there.
        """

    async def close(self) -> None:
        """Say goodbye."""


def kind_of(response: IResponse) -> str:
    """The media type of an answer, without parameters."""
    said = header(response, b"content-type") or ""
    return said.partition(";")[0].strip().lower()


def messages(body: bytes) -> list[Message]:
    """
    The messages in a text: one, or a batch, which one revision had.

    :raises RpcError: there are none.
    """
    found = parse_all(body)
    return found if isinstance(found, list) else [found]


async def failure_in(url: RemoteUrl, response: IResponse, call: Call) -> Failure:
    """
    The error message of an answer whose status says that it is one.

    :returns: with the id of `call`, or without one as it came.
    :raises Refusal: it has none.
    """
    body = await url.refusal(response)
    if kind_of(response) == JSON:
        try:
            [found] = messages(body)
        except (RpcError, ValueError):
            found = None
        if isinstance(found, Failure) and found.id in (None, call.id):
            return found
    raise Refusal(url.name, response.code)


@define(eq=False)
class EventBody:
    """
    A stream of messages in events.

    :param waiting: whether there is anything to wait for; the stream may last on.
    :ivar heard: how many messages there were.
    """

    _url: RemoteUrl
    _reader: EventReader
    _deliver: Deliver
    _waiting: Callable[[], bool]
    heard: int = 0
    _size: int = 0
    _body: Body | None = None
    _done: Deferred[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._done = Deferred(lambda _: self._stop())

    async def read(self, response: IResponse) -> None:
        """
        Deliver what comes until nothing is waited for, or it ends.

        :raises UpstreamError: an event is too large.
        """
        self._reader.cut()
        body = self._body = self._url.deliver(response, self._take)
        body.ended.addBoth(self._over)
        if not self._waiting():
            body.release()
        await self._done

    def _take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > STREAM and self._body is not None:
            self._body.stop()
        for event in self._reader.feed(chunk):
            if event.kind != "message":
                continue
            try:
                found = messages(event.data)
            except RpcError as e:
                log.warn(
                    "Tool server {name} sent what is no message: {why}",
                    name=self._url.name,
                    why=e.message,
                )
                continue
            self.heard += len(found)
            for message in found:
                self._deliver(message)
        if not self._done.called and not self._waiting():
            if self._body is not None:
                self._body.release()
            self._done.callback(None)

    def _over(self, result: bool | Broken) -> None:
        if self._done.called:
            return
        if isinstance(result, Broken) and isinstance(result.value, GatewayError):
            self._done.errback(result)
        else:
            self._done.callback(None)

    def _stop(self) -> None:
        if self._body is not None:
            self._body.stop()


async def delivered(
    url: RemoteUrl,
    response: IResponse,
    deliver: Deliver,
    waiting: Callable[[], bool],
    reader: EventReader,
) -> None:
    """
    Deliver the messages of a good answer, of either kind.

    :raises ToolServerError: it is of no kind that has messages.
    """
    match kind_of(response):
        case "text/event-stream":
            await EventBody(url, reader, deliver, waiting).read(response)
        case "application/json":
            body = await url.whole(response, LARGEST)
            try:
                found = messages(body)
            except RpcError as e:
                raise ToolServerError(
                    f"{url.name}: its answer is no message: {e.message}"
                ) from None
            for message in found:
                deliver(message)
        case _:
            await url.refusal(response)
            raise Refusal(url.name, response.code)
