"""What an upstream does with its answer, and what of it the guest's side is told."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer
from zope.interface.verify import verifyObject

from modelplex.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamTimeout,
)
from modelplex.events import Event, TextDelta
from modelplex.interfaces import IReply, IReplySink
from modelplex.providers.reply import HELD, LINGER, UpstreamReply
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.openai.tap import StreamTap, whole_tap
from modelplex.wire.reading import EventReader

IDLE, TOTAL = 10.0, 100.0  # seconds

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
WORLD = b'data: {"choices":[{"delta":{"content":"world"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"too much","type":"overloaded_error"}}\n\n'


@define(eq=False)
class Body:
    """The transport of a body: counts what is asked of it."""

    paused: bool = False
    hangups: int = 0

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def loseConnection(self) -> None:
        self.hangups += 1


@define(eq=False)
class Response:
    """A response whose body comes when the test says so."""

    body: Body = field(factory=Body)
    buffered: list[bytes] = field(factory=list)

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(self.body)
        for chunk in self.buffered:
            protocol.dataReceived(chunk)
        self.body.resumeProducing()  # as Twisted's does, whatever was asked before


@implementer(IReplySink)
@define(eq=False)
class Sink:
    """Remembers what it was told; `meanwhile` is called in the middle of it."""

    told: list[Any] = field(factory=list)
    meanwhile: Any = None

    def received(self, batch: bytes | list[Event]) -> None:
        self.told.append(batch)
        if self.meanwhile is not None:
            self.meanwhile()

    def ended(self) -> None:
        self.told.append("ended")

    def failed(self, error: GatewayError) -> None:
        self.told.append(error)


@define(eq=False)
class Scene:
    """A reply that is being read."""

    reader: Any = field(factory=lambda: StreamTap(OPENAI_CHAT.decode_error, False))
    whole: bool = False
    limit: int = 1000
    clock: Clock = field(factory=Clock)
    response: Response = field(factory=Response)
    sink: Sink = field(factory=Sink)
    kind: type[UpstreamReply] = UpstreamReply
    reply: UpstreamReply = field(init=False)
    opening: Deferred[None] = field(init=False)
    opened: list[Any] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.reply = self.kind(
            name="up",
            reader=self.reader,
            passed=True,
            dropped=(),
            whole=self.whole,
            limit=self.limit,
            idle=IDLE,
            until=TOTAL,
            scrub=_scrub,
            clock=self.clock,
        )
        self.opening = self.reply.opened(self.response)  # type: ignore[arg-type]
        self.opening.addBoth(self.opened.append)

    @property
    def body(self) -> Body:
        return self.response.body

    @property
    def error(self) -> Any:
        """Why opening failed."""
        [failure] = self.opened
        return failure.value

    @property
    def told(self) -> list[Any]:
        return self.sink.told

    def gets(self, *chunks: bytes) -> Scene:
        for chunk in chunks:
            self.reply.dataReceived(chunk)
        return self

    def deliver(self) -> Scene:
        assert self.opened == [None]
        self.reply.deliver(self.sink)
        return self

    def closes(self, reason: Exception | None = None) -> Scene:
        self.reply.connectionLost(Failure(reason or ResponseDone()))
        return self

    def is_over(self) -> None:
        """Nothing is left running, and nothing that still comes is told."""
        before = list(self.told)
        self.gets(WORLD, ERROR, DONE)
        self.reply.pauseProducing()
        self.reply.resumeProducing()
        self.clock.advance(LINGER)
        self.closes(ConnectionLost())
        self.clock.advance(TOTAL)
        assert self.told == before
        assert self.clock.getDelayedCalls() == []


def _scrub(error: GatewayError) -> GatewayError:
    error.message = error.message.replace("secret", "***")
    return error


@pytest.mark.parametrize("delivered", [True, False])
def test_a_bug_at_the_end_is_told_and_leaves_nobody_waiting(delivered: bool) -> None:
    events: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        events.append(event)

    class Observed(UpstreamReply):
        # An observer of its own: to the test run a logged failure is a failed test.
        log = Logger(observer=keep)

    class Broken(StreamTap):
        def eof(self) -> bytes:
            raise TypeError("a bug")

    scene = Scene(Broken(OPENAI_CHAT.decode_error, False), kind=Observed)
    if delivered:
        scene.gets(HELLO).deliver()
    scene.closes()
    [failed] = [event["log_failure"] for event in events]
    assert failed.type is TypeError
    error = scene.told[-1] if delivered else scene.error
    assert (error.kind, error.status) == ("internal_error", 500)
    assert scene.clock.getDelayedCalls() == []


def test_it_is_a_reply() -> None:
    scene = Scene().gets(HELLO)
    verifyObject(IReply, scene.reply)
    verifyObject(IReplySink, scene.sink)
    scene.reply.stopProducing()


# Until it says something


def test_what_only_announces_is_held_back() -> None:
    scene = Scene().gets(ROLE, ROLE)
    assert scene.opened == []
    assert not scene.body.paused
    scene.gets(HELLO)
    assert scene.opened == [None]
    assert scene.body.paused
    scene.deliver()
    assert scene.told == [ROLE, ROLE, HELLO]
    assert not scene.body.paused
    scene.closes()
    scene.is_over()


def test_a_body_that_was_there_already_is_read_too() -> None:
    scene = Scene(response=Response(buffered=[ROLE, HELLO]))
    assert scene.opened == [None]
    scene.deliver().gets(STOP).closes()
    assert scene.told == [ROLE, HELLO, STOP, "ended"]
    scene.is_over()


def test_announcements_without_end_are_malformed() -> None:
    scene = Scene()
    for _ in range(HELD // len(ROLE) + 1):
        scene.gets(ROLE)
    assert isinstance(scene.error, UpstreamMalformed)
    assert scene.body.hangups == 1
    scene.is_over()


@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (lambda s: s.gets(ERROR), UpstreamOverloaded),
        (lambda s: s.gets(b"data: nonsense\n\n"), UpstreamMalformed),
        (lambda s: s.closes(), UpstreamCut),
        (lambda s: s.closes(PotentialDataLoss()), UpstreamCut),
        (lambda s: s.closes(ConnectionLost()), UpstreamCut),
    ],
)
@pytest.mark.parametrize("before", [[], [ROLE], [b": waiting\n\n", ROLE]])
def test_an_error_before_the_answer_fails_the_opening(
    happens: Any, kind: type[GatewayError], before: list[bytes]
) -> None:
    scene = Scene().gets(*before)
    happens(scene)
    assert type(scene.error) is kind
    scene.is_over()
    assert scene.body.hangups <= 1


def test_the_end_of_an_empty_answer_is_an_answer() -> None:
    scene = Scene().gets(DONE).deliver()
    assert scene.told == [DONE, "ended"]
    scene.is_over()


def test_a_cancel_hangs_up_and_stays_a_cancel() -> None:
    scene = Scene().gets(ROLE)
    scene.opening.cancel()
    assert isinstance(scene.error, CancelledError)
    assert scene.body.hangups == 1
    scene.is_over()
    assert scene.body.hangups == 1


# Once it has said something


@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (lambda s: s.gets(ERROR), UpstreamOverloaded),
        (lambda s: s.gets(b"data: {\n\n"), UpstreamMalformed),
        (lambda s: s.closes(), UpstreamCut),
        (lambda s: s.closes(PotentialDataLoss()), UpstreamCut),
        (lambda s: s.closes(ConnectionLost()), UpstreamCut),
        (lambda s: s.clock.advance(IDLE), UpstreamTimeout),
    ],
)
def test_an_error_after_it_is_told_once_and_last(
    happens: Any, kind: type[GatewayError]
) -> None:
    scene = Scene().gets(ROLE, HELLO).deliver().gets(WORLD)
    happens(scene)
    *batches, error = scene.told
    assert batches == [ROLE, HELLO, WORLD]
    assert type(error) is kind
    scene.is_over()
    assert scene.body.hangups <= 1


def test_an_error_in_the_same_chunk_comes_after_what_it_said() -> None:
    scene = Scene().gets(HELLO + ERROR).deliver()
    said, error = scene.told
    assert said == HELLO
    assert isinstance(error, UpstreamOverloaded)
    assert scene.body.hangups == 1
    scene.is_over()


def test_what_happens_before_the_delivery_is_told_in_it() -> None:
    scene = Scene().gets(HELLO).gets(WORLD).closes(ConnectionLost())
    scene.deliver()
    assert scene.told[:2] == [HELLO, WORLD]
    assert isinstance(scene.told[2], UpstreamCut)
    scene.is_over()


def test_errors_hold_no_secret() -> None:
    told = b'data: {"error":{"message":"secret key"}}\n\n'
    assert Scene().gets(told).error.message == "*** key"
    scene = Scene().gets(HELLO).deliver().gets(told)
    assert scene.told[-1].message == "*** key"


def test_a_potential_loss_is_none_when_the_end_was_seen() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP).closes(PotentialDataLoss())
    assert scene.told == [HELLO, STOP, "ended"]
    scene.is_over()


def test_half_an_event_is_never_given() -> None:
    scene = Scene().gets(HELLO).deliver().gets(WORLD[:20]).closes(ConnectionLost())
    said, error = scene.told
    assert said == HELLO
    assert isinstance(error, UpstreamCut)


# Its end


def test_the_end_is_told_though_the_connection_stays_open() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP, DONE)
    assert scene.told == [HELLO, STOP, DONE, "ended"]
    assert not scene.body.paused
    scene.clock.advance(LINGER - 0.1)
    assert scene.body.hangups == 0
    scene.clock.advance(0.1)
    assert scene.body.hangups == 1
    scene.is_over()


def test_a_connection_that_ends_in_time_is_kept() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP, DONE).closes()
    assert scene.clock.getDelayedCalls() == []
    scene.is_over()
    assert scene.body.hangups == 0


def test_a_translated_end_is_told_at_once_too() -> None:
    scene = Scene(EventReader(OPENAI_CHAT.decoder())).gets(HELLO).deliver()
    scene.gets(STOP, DONE)
    assert scene.told[-1] == "ended"
    scene.is_over()


# Time


def test_silence_is_a_timeout() -> None:
    scene = Scene().gets(HELLO).deliver()
    scene.clock.advance(IDLE - 1)
    scene.gets(WORLD)
    scene.clock.advance(IDLE - 1)
    assert scene.told == [HELLO, WORLD]
    scene.clock.advance(1)
    assert isinstance(scene.told[-1], UpstreamTimeout)
    assert scene.body.hangups == 1
    scene.is_over()


def test_a_guest_that_has_paused_is_no_silence() -> None:
    scene = Scene().gets(HELLO).deliver()
    scene.reply.pauseProducing()
    assert scene.body.paused
    scene.clock.advance(3 * IDLE)
    assert scene.told == [HELLO]
    scene.reply.resumeProducing()
    assert not scene.body.paused
    scene.clock.advance(IDLE)
    assert isinstance(scene.told[-1], UpstreamTimeout)


@pytest.mark.parametrize("paused", [True, False])
def test_an_answer_that_drips_ends_at_the_total(paused: bool) -> None:
    scene = Scene().gets(HELLO).deliver()
    if paused:
        scene.reply.pauseProducing()
    for _ in range(int(TOTAL / 5)):
        assert not isinstance(scene.told[-1], GatewayError)
        scene.clock.advance(5)
        scene.gets(b": still here\n\n")
    assert isinstance(scene.told[-1], UpstreamTimeout)
    assert scene.body.hangups == 1
    scene.is_over()


# The guest's pace


def test_a_pause_before_the_delivery_holds() -> None:
    scene = Scene().gets(HELLO)
    scene.reply.pauseProducing()
    scene.deliver()
    assert scene.told == [HELLO]
    assert scene.body.paused
    scene.clock.advance(2 * IDLE)
    assert scene.told == [HELLO]
    scene.reply.resumeProducing()
    assert not scene.body.paused
    scene.reply.stopProducing()


def test_a_resume_before_the_delivery_lets_nothing_in() -> None:
    scene = Scene().gets(HELLO)
    scene.reply.pauseProducing()
    scene.reply.resumeProducing()
    assert scene.body.paused
    scene.deliver()
    assert not scene.body.paused
    scene.reply.stopProducing()


def test_a_pause_while_what_was_held_is_given_holds() -> None:
    scene = Scene().gets(ROLE, ROLE, HELLO)
    scene.sink.meanwhile = scene.reply.pauseProducing
    scene.deliver()
    assert scene.told == [ROLE, ROLE, HELLO]
    assert scene.body.paused
    scene.reply.stopProducing()


def test_a_resume_while_what_was_held_is_given_keeps_the_order() -> None:
    scene = Scene().gets(ROLE, HELLO)

    def resume_once() -> None:
        scene.sink.meanwhile = None
        scene.reply.resumeProducing()
        assert scene.body.paused
        scene.gets(WORLD)  # was on its way already

    scene.sink.meanwhile = resume_once
    scene.deliver()
    assert scene.told == [ROLE, HELLO, WORLD]
    scene.reply.stopProducing()


def test_the_end_of_an_answer_frees_a_connection_that_was_paused() -> None:
    scene = Scene().gets(HELLO).deliver()
    scene.reply.pauseProducing()
    scene.gets(STOP, DONE)  # was on its way already
    assert scene.told[-1] == "ended"
    assert not scene.body.paused
    scene.is_over()


def test_a_pause_after_the_end_changes_nothing() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP, DONE)
    scene.reply.pauseProducing()
    assert not scene.body.paused
    scene.is_over()


# The guest leaves


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([], id="before delivery"),
        pytest.param(["pause"], id="paused before delivery"),
        pytest.param(["deliver"], id="while delivering"),
        pytest.param(["deliver", "pause"], id="while paused"),
        pytest.param(["deliver", "pause", "resume"], id="resumed"),
    ],
)
def test_stopping_hangs_up_once_and_silently(steps: list[str]) -> None:
    scene = Scene().gets(ROLE, HELLO)
    for step in steps:
        {
            "deliver": scene.deliver,
            "pause": scene.reply.pauseProducing,
            "resume": scene.reply.resumeProducing,
        }[step]()
    before = list(scene.told)
    scene.reply.stopProducing()
    scene.reply.stopProducing()
    assert scene.body.hangups == 1
    assert scene.clock.getDelayedCalls() == []
    scene.reply.deliver(scene.sink)
    assert scene.told == before
    scene.is_over()
    assert scene.body.hangups == 1


def test_stopping_while_what_was_held_is_given_ends_that() -> None:
    scene = Scene().gets(ROLE, ROLE, HELLO + STOP + DONE)
    scene.sink.meanwhile = scene.reply.stopProducing
    scene.deliver()
    assert scene.told == [ROLE]
    assert scene.body.hangups == 1
    scene.is_over()


@pytest.mark.parametrize("last", [WORLD, STOP + DONE, WORLD + ERROR])
def test_stopping_in_the_middle_of_a_batch_tells_no_end(last: bytes) -> None:
    scene = Scene().gets(HELLO).deliver()
    scene.sink.meanwhile = scene.reply.stopProducing
    scene.gets(last)
    assert [type(told) for told in scene.told] == [bytes, bytes]
    assert scene.body.hangups == 1
    scene.is_over()


def test_stopping_at_the_last_event_of_a_body_tells_no_end() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP[:-2])
    scene.sink.meanwhile = scene.reply.stopProducing
    scene.closes()
    assert scene.told == [HELLO, STOP]
    scene.is_over()


def test_stopping_after_the_end_hangs_up_at_most_once() -> None:
    scene = Scene().gets(HELLO).deliver().gets(STOP, DONE)
    scene.reply.stopProducing()
    scene.reply.stopProducing()
    assert scene.body.hangups == 1
    scene.is_over()
    assert scene.body.hangups == 1


def test_stopping_after_an_error_hangs_up_no_second_time() -> None:
    scene = Scene().gets(HELLO).deliver().gets(ERROR)
    assert scene.body.hangups == 1
    scene.reply.stopProducing()
    assert scene.body.hangups == 1


# Whole replies

REPLY = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


def whole(limit: int = 1000) -> Scene:
    return Scene(whole_tap(OPENAI_CHAT.decode_error, limit), whole=True, limit=limit)


def test_a_whole_reply_is_given_when_all_of_it_is_there() -> None:
    scene = whole().gets(REPLY[:10], REPLY[10:])
    assert scene.opened == []
    scene.closes().deliver()
    assert scene.told == [REPLY, "ended"]
    scene.is_over()


@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (lambda s: s.closes(ConnectionLost()), UpstreamCut),
        (lambda s: s.closes(), UpstreamMalformed),
        (lambda s: s.gets(b"x" * 1001), UpstreamMalformed),
        (lambda s: s.gets(b"1}]}").closes(), UpstreamMalformed),
    ],
)
def test_a_whole_reply_that_breaks_fails_the_opening(
    happens: Any, kind: type[GatewayError]
) -> None:
    scene = whole().gets(REPLY[:30])
    happens(scene)
    assert type(scene.error) is kind
    assert scene.told == []
    scene.is_over()


def test_a_whole_reply_made_of_a_stream_is_held_to_the_end() -> None:
    scene = Scene(EventReader(OPENAI_CHAT.decoder()), whole=True)
    scene.gets(HELLO, WORLD)
    assert scene.opened == []
    scene.gets(STOP, DONE).closes().deliver()
    *batches, end = scene.told
    assert end == "ended"
    events = [event for batch in batches for event in batch]
    assert TextDelta("hello") in events
    assert TextDelta("world") in events


def test_a_whole_reply_made_of_a_stream_may_fail_to_the_end() -> None:
    scene = Scene(EventReader(OPENAI_CHAT.decoder()), whole=True)
    scene.gets(HELLO, ERROR)
    assert isinstance(scene.error, UpstreamError)
    assert scene.body.hangups == 1
    scene.is_over()


def test_a_whole_reply_made_of_a_stream_is_limited() -> None:
    scene = Scene(EventReader(OPENAI_CHAT.decoder()), whole=True, limit=100)
    scene.gets(HELLO, WORLD)
    assert isinstance(scene.error, UpstreamMalformed)
    assert scene.body.hangups == 1


# Whatever happens

STEPS = st.sampled_from(
    [
        *(("gets", chunk) for chunk in (ROLE, HELLO, HELLO[:9], HELLO[9:], STOP)),
        *(("gets", chunk) for chunk in (DONE, ERROR, b"data: {\n\n", b": c\n\n")),
        *(("closes", reason) for reason in (None, ConnectionLost())),
        *(("deliver",), ("pause",), ("resume",), ("stop",), ("cancel",)),
        *(("wait", seconds) for seconds in (0.0, 4.0, IDLE, TOTAL)),
    ]
)


@given(st.lists(STEPS, max_size=14), st.booleans())
def test_whatever_happens_is_told_in_order_and_ends_once(
    steps: list[Any], translated: bool
) -> None:
    decoder = EventReader(OPENAI_CHAT.decoder())
    scene = Scene(decoder) if translated else Scene()
    delivered = left = lost = False
    for name, *arguments in steps:
        if name in ("gets", "closes") and (lost or scene.body.paused):
            continue
        if name == "deliver":
            if scene.opened == [None] and not delivered:
                delivered = True
                scene.deliver()
        elif name == "pause":
            scene.reply.pauseProducing()
        elif name == "resume":
            scene.reply.resumeProducing()
        elif name == "stop":
            if scene.opened == [None]:
                scene.reply.stopProducing()
                left = True
                count = len(scene.told)
        elif name == "cancel":
            if not scene.opened:
                scene.opening.cancel()
        elif name == "wait":
            scene.clock.advance(arguments[0])
        else:
            lost = lost or name == "closes"
            getattr(scene, name)(*arguments)
        assert len(scene.opened) <= 1
        ends = [t for t in scene.told if not isinstance(t, bytes | list)]
        assert len(ends) <= 1
        assert ends == scene.told[len(scene.told) - len(ends) :]
        if left:
            assert len(scene.told) == count
        assert scene.body.hangups <= 1
    if not scene.opened:
        scene.opening.cancel()
    scene.reply.stopProducing()
    scene.is_over()
    assert scene.body.hangups <= 1
