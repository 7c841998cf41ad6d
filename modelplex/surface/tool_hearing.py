"""What is heard of the rounds of a model with tools: one by one, and in all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.events import Event, Finished, Usage, UsageReported
from modelplex.interfaces import IReply, IReplySink
from modelplex.surface.tool_round import Round


@define(eq=False)
class RoundsReader:
    """
    What the rounds have told so far, see `modelplex.wire.reading.Reader`.

    Each is read by a reader of its own, so nothing is fed here.
    """

    meaningful: bool = True
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        return []

    def eof(self) -> list[Event]:
        return []

    def saw(self, events: Sequence[Event]) -> None:
        """Take notice of what the guest is told."""
        for event in events:
            if isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Finished):
                self.finish = event.reason.value


@implementer(IReplySink)
@define(eq=False)
class Hearing:
    """Takes the reply of one round; `done` is told of its end."""

    _round: Round
    _reply: IReply
    _tell: Callable[[Sequence[Event]], None]
    _done: Deferred[None] | None

    def received(self, batch: bytes | list[Event]) -> None:
        assert isinstance(batch, list)
        if self._done is None:
            return
        try:
            self._tell(self._round.heard(batch))
        except Exception:  # a bug, or too long; the upstream's connection is not told
            done, self._done = self._done, None
            self._reply.stopProducing()
            done.errback(Failure())

    def ended(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.callback(None)

    def failed(self, error: GatewayError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.errback(error)
