"""What the states of one server's life have in common, and what happens in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from modelplex.mcp.conversation import Conversation
from modelplex.mcp.handshake import Opened
from modelplex.mcp.process import Owner
from modelplex.mcp.restarts import Restarts
from modelplex.tools import ServerState, ToolServerError
from modelplex.wire.jsonrpc import Message


class Process(Protocol):
    """A child that runs; see `modelplex.mcp.process.ChildProcess`."""

    @property
    def pid(self) -> int | None:
        """``None`` when it does not run."""

    @property
    def backlogged(self) -> bool:
        """Whether it should be sent no more."""

    def send(self, line: bytes) -> None:
        """Write a line to it."""

    def end(self) -> None:
        """End it; its owner is told when it is gone."""


class Lives(Protocol):
    """What can happen to a server."""

    def need(self) -> None:
        """Somebody waits for it."""

    def opened(self) -> None:
        """It can be asked."""

    def useless(self, why: str) -> None:
        """It runs, and can not or no longer be asked."""

    def once_more(self) -> None:
        """It is gone, and is started again at once."""

    def lost(self, why: str, delay: float) -> None:
        """It is gone, and is started again after `delay` seconds."""

    def hopeless(self, why: str) -> None:
        """It is gone, and is given up."""

    def due(self) -> None:
        """The delay is over."""

    def restart(self) -> None:
        """The operator wants it to begin anew."""

    def stop(self) -> None:
        """It must end."""


@define(eq=False, repr=False)
class Life:
    """
    What the states of one server have in common.

    :param spawn: runs the server for an owner, and may raise `OSError`.
    :param converse: makes the conversation with what was spawned; the last argument
        says whether it is known to be of the legacy era.
    :param began: told of every conversation that was opened.
    :param over: told when one has ended, before anything else happens.
    """

    name: str
    clock: IReactorTime
    restarts: Restarts
    start_timeout: float
    spawn: Callable[[Owner], Process]
    converse: Callable[[Process, Life, bool], Conversation]
    began: Callable[[Conversation], None]
    over: Callable[[], None]
    state: ServerState = ServerState.IDLE
    why: str = ""
    count: int = 0  # of restarts
    modern: bool | None = None  # its era; ``None`` while it is not known
    process: Process | None = None
    conversation: Conversation | None = None
    ready_since: float | None = None
    machine: Lives = field(init=False)
    _reason: str = ""  # why its process is being ended
    _unprobed: bool = False  # start it the next time without a probe
    _waiting: list[Deferred[Conversation]] = field(factory=list)
    _stopping: list[Deferred[None]] = field(factory=list)
    _timer: IDelayedCall | None = None
    log = Logger()

    @property
    def backlogged(self) -> bool:
        """Whether it does not read what it was sent."""
        return self.process is not None and self.process.backlogged

    def ready(self) -> Deferred[Conversation]:
        """
        The conversation, as soon as there is one.

        :returns: fails with `ToolServerError` when the server cannot be started.
        """
        if self.state is ServerState.READY and self.conversation is not None:
            answer: Deferred[Conversation] = Deferred()
            answer.callback(self.conversation)
            return answer
        answer = Deferred(self._waits_no_more)
        self._waiting.append(answer)
        self.machine.need()
        return answer

    def stopped(self) -> Deferred[None]:
        """Stop it; fires when nothing of it is left."""
        answer: Deferred[None] = Deferred()
        self._stopping.append(answer)
        self.machine.stop()
        return answer

    # Owner

    def received(self, message: Message) -> None:
        if self.conversation is not None:
            self.conversation.received(message)

    def deaf(self, why: str) -> None:
        self.machine.useless(why)

    def ended(self, why: str) -> None:
        """The process is gone: what it means depends on how far it had come."""
        conversation, self.conversation = self.conversation, None
        self.process = None
        why, self._reason = self._reason or why, ""
        self._stop_timer()
        starting = self.state is ServerState.STARTING
        killed = starting and self._may_hate_probes(conversation)
        since, self.ready_since = self.ready_since, None
        if since is None:
            self.modern = None  # it may have become another one
        if killed:
            self._unprobed = True
            self.machine.once_more()
        else:
            ran = 0.0 if since is None else self.clock.seconds() - since
            delay = self.restarts.ended(ran)
            if delay is None:
                self.machine.hopeless(why)
            else:
                self.machine.lost(why, delay)
        self._close(conversation)  # now that the status says why

    def _may_hate_probes(self, conversation: Conversation | None) -> bool:
        """Whether it did not survive a probe, for all that is known."""
        if conversation is None or self.modern is not None:
            return False
        return conversation.session.probed

    def opened(self, opened: Opened) -> None:
        """The conversation can be used."""
        self.modern = opened.modern
        self.machine.opened()

    # What the machine does; see `modelplex.mcp.supervisor`

    def begin(self) -> None:
        self.state = ServerState.STARTING
        try:
            self.process = self.spawn(self)
        except OSError as e:
            self.ended(f"it cannot be started: {e.strerror}")
            return
        self._timer = self.clock.callLater(
            self.start_timeout, self.machine.useless, "it was not ready in time"
        )
        legacy, self._unprobed = self._unprobed or self.modern is False, False
        self.conversation = self.converse(self.process, self, legacy)
        self.conversation.begin()

    def is_ready(self) -> None:
        self._stop_timer()
        self.state = ServerState.READY
        self.ready_since = self.clock.seconds()
        assert self.conversation is not None
        self.began(self.conversation)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.called:
                continue  # cancelled by what one before it has led to
            if self.conversation is not None:
                one.callback(self.conversation)
            else:
                one.errback(self._error("has ended"))

    def end_process(self, state: ServerState, why: str = "") -> None:
        self._stop_timer()
        self.state = state
        self._reason = why
        conversation, self.conversation = self.conversation, None
        if why and self._may_hate_probes(conversation):
            self._unprobed = True
        self._close(conversation)
        if self.process is not None:
            self.process.end()

    def wait(self, why: str, delay: float) -> None:
        self.state, self.why = ServerState.BACKOFF, why
        self.count += 1
        self.log.warn(
            "Tool server {name} has ended ({why}); it starts again in {delay:.1f} s",
            name=self.name,
            why=self.why,
            delay=delay,
        )
        self._timer = self.clock.callLater(delay, self.machine.due)

    def again(self) -> None:
        """The operator wants it to run, whatever was before."""
        self._stop_timer()
        self.restarts.forgive()
        self.modern = None
        self.why = ""

    def give_up(self, why: str) -> None:
        self.state, self.why = ServerState.FAILED, why
        self.log.error(
            "Tool server {name} ended too often ({why}) and is given up",
            name=self.name,
            why=self.why,
        )
        self.refuse()

    def halted(self) -> None:
        self._stop_timer()
        self.state = ServerState.STOPPED
        self.refuse()
        stopping, self._stopping = self._stopping, []
        for one in stopping:
            one.callback(None)

    def refuse(self) -> None:
        """Nobody who waits for it gets it."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.errback(self._error("is not running"))

    def _waits_no_more(self, one: Deferred[Conversation]) -> None:
        if one in self._waiting:
            self._waiting.remove(one)

    def _close(self, conversation: Conversation | None) -> None:
        if conversation is not None:
            conversation.close(self._error("ended before it had answered"))
            self.over()

    def _error(self, what: str) -> ToolServerError:
        return ToolServerError(f"tool server {self.name} {what}")

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
