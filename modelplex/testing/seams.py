"""Verified fakes of the seams in `modelplex.interfaces`, for whoever tests a user."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import define, field
from zope.interface import implementer

from modelplex.errors import GatewayError, UpstreamUnreachable
from modelplex.events import Event, gather
from modelplex.interfaces import IModelProvider, IReply, IReplySink
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.reading import EventReader, Reader


@define(eq=False)
class Recorded:
    """A decoder for events that nobody encoded: any bytes give all of them."""

    _events: list[Event]
    done: bool = False

    def feed(self, chunk: bytes) -> list[Event]:
        self.done = True
        events, self._events = self._events, []
        return events

    def eof(self) -> list[Event]:
        return []


@implementer(IReply)
@define(eq=False)
class FakeReply:
    """
    An answer that is all there, delivered at once.

    :ivar stopped: the surface hung up.
    """

    _events: list[Event]
    dropped: Sequence[str] = ()
    passed: bool = False
    stopped: bool = False
    reader: Reader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader = EventReader(Recorded(self._events))

    def deliver(self, sink: IReplySink) -> None:
        sink.received(self.reader.feed(b""))
        if self.reader.error is None:
            sink.ended()
        else:
            sink.failed(self.reader.error)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.stopped = True


@implementer(IReplySink)
@define(eq=False)
class FakeSink:
    """
    Takes a reply; `end` is ``None`` until it ended, then its error or ``True``.
    """

    batches: list[bytes | list[Event]] = field(factory=list)
    end: GatewayError | bool | None = None

    def received(self, batch: bytes | list[Event]) -> None:
        assert self.end is None, "nothing follows the end"
        self.batches.append(batch)

    def ended(self) -> None:
        assert self.end is None, "a reply ends once"
        self.end = True

    def failed(self, error: GatewayError) -> None:
        assert self.end is None, "a reply ends once"
        self.end = error

    def text(self) -> str:
        """What the reply's events say, as text."""
        events = [e for batch in self.batches if isinstance(batch, list) for e in batch]
        return "".join(getattr(p, "text", "") for p in gather(events).parts)


@implementer(IModelProvider)
@define(eq=False)
class FakeProvider:
    """
    A provider that is told what to answer.

    :ivar models: what it says it has; ``None`` when it cannot be asked.
    :ivar answer: the events of every reply, or the error it fails with.
    :ivar asked: (request, upstream model, seconds) for each time it was opened.
    :ivar listed: how often it was asked for its models.
    """

    name: str
    models: Sequence[str] | None = ()
    answer: list[Event] | GatewayError = field(factory=list)
    operations: Collection[Operation] = frozenset(Operation)
    concern: str = ""
    asked: list[tuple[Asked, str, float]] = field(factory=list)
    listed: int = 0
    closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.concern = self.concern or self.name

    def serves(self, operation: Operation) -> bool:
        return operation in self.operations

    async def open(self, asked: Asked, model: str, within: float) -> IReply:
        self.asked.append((asked, model, within))
        if isinstance(self.answer, GatewayError):
            raise self.answer
        return FakeReply(list(self.answer))

    async def list_models(self) -> Sequence[str]:
        self.listed += 1
        if self.models is None:
            raise UpstreamUnreachable(f"{self.name}: cannot be asked")
        return self.models

    async def close(self) -> None:
        self.closed = True
