"""The start of a body, for errors and lists: bounded in bytes and seconds."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from modelplex.errors import UpstreamTimeout
from modelplex.outbound.transport import hang_up
from modelplex.timing import limited


@define(eq=False)
class _Collected(Protocol):
    """The first bytes of a body; the rest is not waited for."""

    _limit: int
    _chunks: list[bytes] = field(factory=list)
    _done: Deferred[bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._done = Deferred(lambda _: self._hang_up())

    @property
    def done(self) -> Deferred[bytes]:
        return self._done

    def dataReceived(self, data: bytes) -> None:
        if self._done.called:
            return
        self._limit -= len(data)
        self._chunks.append(data)
        if self._limit <= 0:
            self._hang_up()
            self._fire()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fire()

    def _fire(self) -> None:
        if not self._done.called:
            self._done.callback(b"".join(self._chunks))

    def _hang_up(self) -> None:
        if self.transport is not None:
            hang_up(self.transport)


async def read_body(
    response: IResponse, limit: int, clock: IReactorTime, within: float
) -> bytes:
    """About the first `limit` bytes of a body, however it ends."""
    collected = _Collected(limit)
    response.deliverBody(collected)
    return await limited(
        collected.done,
        within,
        clock,
        lambda: UpstreamTimeout("the provider's error did not end"),
    )
