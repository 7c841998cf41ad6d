"""An embedded provider that needs no key and no network, and can fail on purpose."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from modelplex.errors import (
    GatewayError,
    UnsupportedField,
    UpstreamCut,
    UpstreamDenied,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.events import Event, Failed
from modelplex.interfaces import IModelProvider, IReply, IReplySink
from modelplex.providers.demo_script import compose, embedding
from modelplex.settings import Demo
from modelplex.timing import limited
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.embeddings import EmbeddingsReply
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.openai.tap import whole_tap
from modelplex.wire.reading import EventReader, Reader

MODELS = ("demo",)
_OPERATIONS = frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS})
_SIZE = 16  # numbers in an embedding, unless asked otherwise
_LONGEST = 4096  # numbers in an embedding


@define(eq=False)
class _Scripted:
    """A decoder for a reply that was never encoded."""

    _events: list[Event]
    done: bool = False

    def feed(self, chunk: bytes) -> list[Event]:
        self.done = True
        return self._events

    def eof(self) -> list[Event]:
        return []


@implementer(IReply)
@define(eq=False)
class DemoReply:
    """
    Batches delivered one by one, `delay` seconds apart, at the guest's pace.

    :ivar until: when it must have ended, on the clock.
    """

    reader: Reader
    passed: bool
    _batches: list[bytes | list[Event]]
    _delay: float
    _until: float
    _clock: IReactorTime
    dropped: Sequence[str] = ()
    _sink: IReplySink | None = None
    _stopped: bool = False
    _paused: bool = False
    _pumping: bool = False
    _call: IDelayedCall | None = None

    def deliver(self, sink: IReplySink) -> None:
        if not self._stopped:
            self._sink = sink
            self._pump()

    def pauseProducing(self) -> None:
        self._paused = True
        self._stop()

    def resumeProducing(self) -> None:
        self._paused = False
        self._pump()

    def stopProducing(self) -> None:
        self._stopped = True
        self._sink = None
        self._stop()

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _pump(self) -> None:
        if self._pumping or self._call is not None:
            return
        self._pumping = True
        while self._sink is not None and not self._paused:
            if not self._batches:
                sink, self._sink = self._sink, None
                if self.reader.error is None:
                    sink.ended()
                else:
                    sink.failed(self.reader.error)
                break
            self._sink.received(self._batches.pop(0))
            if self._delay and self._sink is not None:
                left = max(self._until - self._clock.seconds(), 0)
                pause = min(self._delay, left)
                self._call = self._clock.callLater(pause, self._later)
                break
        self._pumping = False

    def _later(self) -> None:
        self._call = None
        if self._batches and self._clock.seconds() >= self._until:
            self._batches.clear()
            self.reader.error = UpstreamTimeout("the answer took longer than it may")
        self._pump()


@implementer(IModelProvider)
@define(eq=False)
class DemoProvider:
    """
    Answers by itself; `demo.fail` makes it fail like a real one.

    :ivar first_byte: seconds after which a provider that hangs is given up.
    """

    name: str
    _demo: Demo
    _clock: IReactorTime
    _first_byte: float = 60.0
    concern: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.concern = self.name

    def serves(self, operation: Operation) -> bool:
        return operation in _OPERATIONS

    async def open(self, asked: Asked, model: str, within: float) -> IReply:
        until = self._clock.seconds() + within
        if self._demo.fail == "hang":
            await self._silence(min(self._first_byte, within))
        if (error := self._failure()) is not None:
            raise error
        if asked.operation is Operation.EMBEDDINGS:
            return self._embeddings(asked, model, until)
        request = asked.canonical()
        if request.n != 1:
            raise UnsupportedField("n: the demo model has one answer only", param="n")
        events = compose(request, model)
        if self._demo.fail == "cut":
            cut = UpstreamCut(f"{self.name}: the connection broke, as scripted")
            events = [*events[: len(events) // 2], Failed(cut)]
        if not asked.stream and isinstance(events[-1], Failed):
            raise events[-1].error
        reader = EventReader(_Scripted(events))
        batches: list[bytes | list[Event]] = [[event] for event in reader.feed(b"")]
        delay = self._demo.delay if asked.stream else 0.0
        return DemoReply(reader, False, batches, delay, until, self._clock)

    def _embeddings(self, asked: Asked, model: str, until: float) -> IReply:
        assert asked.embeddings is not None
        request = asked.embeddings.decode_request(asked.body)
        size = min(request.dimensions or _SIZE, _LONGEST)
        vectors = tuple(tuple(embedding(str(i), size)) for i in request.input)
        words = sum(len(str(i).split()) for i in request.input)
        reply = EmbeddingsReply(model, vectors, words)
        tap = whole_tap(OPENAI_CHAT.decode_error, limit=2**30)
        tap.feed(asked.embeddings.encode_reply(reply, request))
        return DemoReply(tap, True, [tap.eof()], 0.0, until, self._clock)

    async def list_models(self) -> Sequence[str]:
        if (error := self._failure()) is not None:
            raise error
        return MODELS

    async def close(self) -> None:
        """Nothing is open."""

    async def _silence(self, seconds: float) -> None:
        await limited(
            Deferred(),
            seconds,
            self._clock,
            lambda: UpstreamTimeout(f"{self.name}: no answer in {seconds:g} seconds"),
        )

    def _failure(self) -> GatewayError | None:
        match self._demo.fail:
            case "refuse":
                return UpstreamUnreachable(f"{self.name}: no connection could be made")
            case "http-500":
                return UpstreamOverloaded(f"{self.name}: answered 500", status=502)
            case "http-429":
                return UpstreamRateLimited(f"{self.name}: too many", retry_after=2.0)
            case "http-401":
                return UpstreamDenied(
                    "the provider refused the operator's credentials",
                    told_operator="401, as scripted",
                )
            case _:
                return None
