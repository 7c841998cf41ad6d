"""
What every `IModelProvider` and its `IReply` promise, as checks to run on each.

A test brings a `Stage`: a provider, its clock, and the script of what goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamDenied,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.events import Event
from modelplex.interfaces import IModelProvider, IReply, IReplySink
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT

FIRST_BYTE = 60.0  # seconds, of every provider on a stage
TURNS = 100  # after so many nothing more is expected to happen

# What a stage can be asked to do, other than to answer.
REFUSE, HANG, CUT = "refuse", "hang", "cut"
ANSWERED_500, ANSWERED_429, ANSWERED_401 = "http-500", "http-429", "http-401"


class Stage(Protocol):
    """A provider whose upstream follows a script."""

    clock: Clock
    provider: IModelProvider
    model: str

    def turn(self) -> None:
        """Let the upstream do the next thing, if anything is left."""


SetUp = Callable[[str], Stage]
"""Makes the stage for one of the scripts above, or for ``""``: a good answer."""


def ask(
    stream: bool = True,
    operation: Operation = Operation.CHAT,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    model: str = "m",
    **members: Any,
) -> Asked:
    """A guest's request for a chat."""
    said = {"messages": [{"role": "user", "content": "one two three four"}]}
    body = {"model": model, "stream": stream, **said, **members}
    return Asked(
        operation,
        OPENAI_CHAT,
        open_object(msgspec.json.encode(body)),
        model,
        stream,
        Answering(model, 0),
        headers=headers,
    )


@implementer(IReplySink)
@define(eq=False)
class Told:
    """Remembers what a reply told."""

    batches: list[bytes | list[Event]] = field(factory=list)
    ends: list[GatewayError | None] = field(factory=list)

    def received(self, batch: bytes | list[Event]) -> None:
        assert not self.ends, "received after the end"
        assert batch, "an empty batch"
        self.batches.append(batch)

    def ended(self) -> None:
        self.ends.append(None)

    def failed(self, error: GatewayError) -> None:
        self.ends.append(error)


@define(eq=False)
class Scene:
    """One request on a stage."""

    stage: Stage
    asked: Asked
    within: float = 900.0
    told: Told = field(factory=Told)
    _opening: Deferred[Any] = field(init=False)
    _opened: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        opening = self.stage.provider.open(self.asked, self.stage.model, self.within)
        self._opening = Deferred.fromCoroutine(opening)
        self._opening.addBoth(self._opened.append)

    def cancel(self) -> None:
        """The guest hangs up before there is a reply."""
        self._opening.cancel()

    def turns(self, number: int = TURNS) -> None:
        """Let the upstream act."""
        for _ in range(number):
            self.stage.turn()

    @property
    def waiting(self) -> bool:
        """It has neither opened nor failed."""
        return not self._opened

    def reply(self) -> IReply:
        """The reply, once it was opened."""
        for _ in range(TURNS):
            if self._opened:
                break
            self.stage.turn()
        [reply] = self._opened
        if isinstance(reply, Failure):
            reply.raiseException()
        assert isinstance(reply.passed, bool)
        verifyObject(IReply, reply)
        return reply  # type: ignore[no-any-return]

    def error(self) -> BaseException:
        """Why there is none."""
        for _ in range(TURNS):
            if self._opened:
                break
            self.stage.turn()
        [failure] = self._opened
        assert isinstance(failure, Failure), failure
        assert failure.value is not None
        return failure.value

    def settled(self) -> None:
        """Whatever comes, nothing more is told, and nothing is left running."""
        batches, ends = len(self.told.batches), len(self.told.ends)
        self.turns()
        assert (len(self.told.batches), len(self.told.ends)) == (batches, ends)
        closing = Deferred.fromCoroutine(self.stage.provider.close())
        self.stage.clock.advance(0)
        assert closing.called
        assert self.stage.clock.getDelayedCalls() == []


def it_says_what_it_is(set_up: SetUp) -> None:
    """It provides the interface; its name and concern are texts."""
    provider = set_up("").provider
    verifyObject(IModelProvider, provider)
    assert provider.name and provider.concern.startswith(provider.name)
    assert provider.serves(Operation.CHAT) is True
    for operation in Operation:
        assert isinstance(provider.serves(operation), bool)


def it_streams(set_up: SetUp) -> None:
    """A streamed answer comes in batches and ends once; its tokens were counted."""
    scene = Scene(set_up(""), ask())
    reply = scene.reply()
    assert reply.reader.meaningful
    reply.deliver(scene.told)
    scene.turns()
    assert len(scene.told.batches) > 2
    assert scene.told.ends == [None]
    assert reply.reader.error is None
    assert reply.reader.finish == "stop"
    assert reply.reader.usage is not None
    scene.settled()


def it_answers_whole(set_up: SetUp) -> None:
    """An answer that is not streamed is all there once it was opened."""
    scene = Scene(set_up(""), ask(stream=False))
    reply = scene.reply()
    reply.deliver(scene.told)
    assert scene.told.ends == [None]
    assert reply.reader.finish == "stop"
    assert reply.reader.usage is not None
    scene.settled()


def it_fails_in_our_words(set_up: SetUp) -> None:
    """Each failure before an answer is the one that says what to do."""
    for script, kind in {
        REFUSE: UpstreamUnreachable,
        ANSWERED_500: UpstreamOverloaded,
        ANSWERED_429: UpstreamRateLimited,
        ANSWERED_401: UpstreamDenied,
    }.items():
        for stream in (True, False):
            scene = Scene(set_up(script), ask(stream))
            error = scene.error()
            assert type(error) is kind
            if isinstance(error, UpstreamRateLimited):
                assert error.retry_after == 2.0
            scene.settled()


def it_is_given_up_in_time(set_up: SetUp) -> None:
    """Silence before the first byte has an end, and `within` may be an earlier one."""
    for within, seconds in ((900.0, FIRST_BYTE), (5.0, 5.0)):
        scene = Scene(set_up(HANG), ask(), within)
        scene.turns(10)
        scene.stage.clock.advance(seconds - 0.01)
        assert scene.waiting
        scene.stage.clock.advance(0.01)
        assert type(scene.error()) is UpstreamTimeout
        scene.settled()


def it_ends_in_time(set_up: SetUp) -> None:
    """An answer that still comes when `within` is over is broken off."""
    scene = Scene(set_up(""), ask(), within=3.0)
    started = scene.stage.clock.seconds()
    scene.reply().deliver(scene.told)
    while not scene.told.ends:
        scene.stage.turn()
        scene.stage.clock.advance(1.0)
        assert scene.stage.clock.seconds() <= started + 5.0
    [error] = scene.told.ends
    assert type(error) is UpstreamTimeout
    scene.settled()


def a_cancel_stays_a_cancel(set_up: SetUp) -> None:
    """Cancelled at any time before it was opened, it fails as cancelled."""
    for script in (HANG, "", CUT):
        for turns in range(10):
            scene = Scene(set_up(script), ask())
            scene.turns(turns)
            if not scene.waiting:
                scene.reply().stopProducing()
                scene.settled()
                break
            scene.cancel()
            assert type(scene.error()) is CancelledError
            scene.settled()


def a_cut_is_told(set_up: SetUp) -> None:
    """A stream that breaks is told once, after what came; a whole one is not opened."""
    scene = Scene(set_up(CUT), ask())
    scene.reply().deliver(scene.told)
    scene.turns()
    [error] = scene.told.ends
    assert type(error) is UpstreamCut
    assert scene.told.batches
    scene.settled()
    scene = Scene(set_up(CUT), ask(stream=False))
    assert type(scene.error()) is UpstreamCut
    scene.settled()


def it_goes_at_the_guests_pace(set_up: SetUp) -> None:
    """While it is paused nothing is told, and nothing is lost by it."""
    whole = Scene(set_up(""), ask())
    whole.reply().deliver(whole.told)
    whole.turns()
    scene = Scene(set_up(""), ask())
    reply = scene.reply()
    reply.deliver(scene.told)
    reply.pauseProducing()
    told = len(scene.told.batches)
    scene.turns()
    assert len(scene.told.batches) == told
    assert scene.told.ends == []
    while not scene.told.ends:
        reply.resumeProducing()
        scene.stage.turn()
        reply.pauseProducing()
    assert scene.told.ends == [None]
    assert _joined(scene.told) == _joined(whole.told)
    scene.settled()
    whole.settled()


def a_stop_is_silent(set_up: SetUp) -> None:
    """Stopped at any time, it tells nothing more, and may be stopped again."""
    for script in ("", CUT):
        for turns in range(12):
            scene = Scene(set_up(script), ask())
            reply = scene.reply()
            if turns:
                reply.deliver(scene.told)
                scene.turns(turns - 1)
            ends = list(scene.told.ends)
            reply.stopProducing()
            reply.stopProducing()
            if not turns:
                reply.deliver(scene.told)
                assert scene.told.batches == []
            assert scene.told.ends == ends
            scene.settled()


def it_lists_models(set_up: SetUp) -> None:
    """The list is one of texts, or one of our errors says why there is none."""
    for script in ("", REFUSE, ANSWERED_401):
        stage = set_up(script)
        listed: list[Any] = []
        listing = Deferred.fromCoroutine(stage.provider.list_models())
        listing.addBoth(listed.append)
        for _ in range(TURNS):
            stage.turn()
        [names] = listed
        if script:
            assert isinstance(names.value, GatewayError)
        else:
            assert names and all(isinstance(name, str) for name in names)
        closing = Deferred.fromCoroutine(stage.provider.close())
        stage.clock.advance(0)
        assert closing.called
        assert stage.clock.getDelayedCalls() == []


def _joined(told: Told) -> Any:
    if isinstance(told.batches[0], bytes):
        return b"".join(b for b in told.batches if isinstance(b, bytes))
    return [event for batch in told.batches for event in batch]


CHECKS: tuple[Callable[[SetUp], None], ...] = (
    it_says_what_it_is,
    it_streams,
    it_answers_whole,
    it_fails_in_our_words,
    it_is_given_up_in_time,
    it_ends_in_time,
    a_cancel_stays_a_cancel,
    a_cut_is_told,
    it_goes_at_the_guests_pace,
    a_stop_is_silent,
    it_lists_models,
)
