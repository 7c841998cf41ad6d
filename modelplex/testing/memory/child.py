"""Children without processes: what they are sent is kept, and a test answers it."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field
from twisted.internet.task import Clock

from modelplex.mcp.child import ChildServer
from modelplex.mcp.child_settings import ChildSettings, RestartSettings
from modelplex.mcp.process import Owner
from modelplex.wire.jsonrpc import Answer, Call, Message, parse

POLICY = RestartSettings(first=1.0, most=8.0, times=4, stable=60.0)
SETTINGS = ChildSettings("fake", ("fake",), protocol="legacy", restarts=POLICY)
LEGACY = {"protocolVersion": "2025-11-25", "capabilities": {}}
MODERN = {"supportedVersions": ["2026-07-28"], "capabilities": {}}


@define(eq=False)
class FakeProcess:
    """
    One run of a server that a test plays.

    :ivar sent: what it was sent and has not been taken yet.
    :ivar ending: it was told to end, which it does when the test says so.
    """

    owner: Owner
    pid: int | None
    sent: list[Message] = field(factory=list)
    ending: bool = False
    backlogged: bool = False

    def send(self, line: bytes) -> None:
        assert self.pid is not None, "sent to a process that is gone"
        if not self.ending:
            self.sent.append(parse(line))

    def end(self) -> None:
        self.ending = True

    def take(self) -> list[Message]:
        """What it was sent since the last time."""
        taken, self.sent = self.sent, []
        return taken

    def tell(self, message: Message) -> None:
        """Say this."""
        self.owner.received(message)

    def open(self, **capabilities: Any) -> None:
        """Answer what opens the conversation."""
        (call,) = [one for one in self.take() if isinstance(one, Call)]
        told = LEGACY if call.method == "initialize" else MODERN
        self.tell(Answer(call.id, {**told, "capabilities": capabilities}))

    def die(self, why: str = "exit code 1") -> None:
        """Be gone."""
        self.pid = None
        self.owner.ended(why)


@define(eq=False)
class Hatchery:
    """
    Runs fake processes.

    :ivar full: the system has no room for another one.
    """

    clock: Clock = field(factory=Clock)
    runs: list[FakeProcess] = field(factory=list)
    full: bool = False

    def spawn(self, settings: ChildSettings, owner: Owner) -> FakeProcess:
        if self.full:
            raise OSError(11, "Resource temporarily unavailable")
        assert not self.alive, "it runs twice"
        self.runs.append(FakeProcess(owner, 1000 + len(self.runs)))
        return self.last

    def server(self, **more: Any) -> ChildServer:
        """A server whose runs are in `runs`; `more` are `ChildSettings`."""
        settings = evolve(SETTINGS, **more)
        info = {"name": "modelplex", "version": "1"}
        return ChildServer(settings, self.clock, self.spawn, info, lambda: 1.0)

    @property
    def last(self) -> FakeProcess:
        """The last run."""
        return self.runs[-1]

    @property
    def alive(self) -> list[FakeProcess]:
        """Those that are not gone."""
        return [one for one in self.runs if one.pid is not None]
