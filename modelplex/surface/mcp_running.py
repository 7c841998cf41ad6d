"""The calls of one client that run, by the ids it gave them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Reason

from modelplex.errors import GatewayError
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Answer,
    Call,
    Failure,
    Id,
    Message,
    Result,
    RpcError,
)

MOST = 64  # calls of one client at a time


class Way(Protocol):
    """Where the answer of one call goes, and what is told before it."""

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        """
        Tell something that belongs to the call.

        :param droppable: it may be lost when the client does not read.
        """

    def end(self, message: Answer | Failure | None) -> None:
        """Answer the call; ``None`` when it was cancelled. Nothing follows."""


@define(eq=False, repr=False)
class Running:
    """
    Runs calls; each ends its way exactly once, whatever happens.

    :ivar idle: called when nothing runs any more.
    """

    idle: Callable[[], None]
    _calls: dict[Id, Deferred[None]] = field(factory=dict)
    log = Logger()

    def __len__(self) -> int:
        return len(self._calls)

    def begin(
        self, call: Call, work: Callable[[], Coroutine[Any, Any, Result]], way: Way
    ) -> None:
        """Run `work`, the result of which answers `call`."""
        if call.id in self._calls:
            error = RpcError(INVALID_REQUEST, "this id is that of a running request")
            way.end(error.failure(call.id))
            return
        if len(self._calls) >= MOST:
            error = RpcError(INTERNAL_ERROR, f"{MOST} requests are running already")
            way.end(error.failure(call.id))
            return
        running: Deferred[None] = Deferred.fromCoroutine(_run(call, work, way))
        running.addErrback(self._broken, call, way)
        if not running.called:
            self._calls[call.id] = running
            running.addCallback(self._over, call.id, running)

    def cancel(self, id: object) -> None:
        """Stop the call of this id, if it runs."""
        if isinstance(id, str | int) and not isinstance(id, bool):
            running = self._calls.get(id)
            if running is not None:
                running.cancel()

    def cancel_all(self) -> None:
        """Stop everything."""
        for running in list(self._calls.values()):
            running.cancel()

    def _broken(self, reason: Reason, call: Call, way: Way) -> None:
        """Tell the log about a bug, and the client only that there was one."""
        if reason.check(CancelledError):
            way.end(None)
            return
        self.log.failure("A call of {method} failed", reason, method=call.method)
        way.end(Failure(call.id, INTERNAL_ERROR, "internal error"))

    def _over(self, _: None, id: Id, running: Deferred[None]) -> None:
        if self._calls.get(id) is running:
            del self._calls[id]
        if not self._calls:
            self.idle()


async def _run(
    call: Call, work: Callable[[], Coroutine[Any, Any, Result]], way: Way
) -> None:
    answer: Answer | Failure
    try:
        answer = Answer(call.id, await work())
    except RpcError as e:
        answer = e.failure(call.id)
    except GatewayError as e:
        answer = Failure(call.id, INTERNAL_ERROR, e.message)
    way.end(answer)
