"""A child process that speaks MCP on its standard input and output."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessTransport,
    IPushProducer,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from modelplex.mcp.child_settings import ChildSettings
from modelplex.mcp.guardian import Guardian
from modelplex.mcp.launch import CANNOT_RUN
from modelplex.mcp.printed import Printed
from modelplex.wire.jsonrpc import Message
from modelplex.wire.mcp.lines import ChildLines

LAUNCHER = Path(__file__).with_name("launch.py")
BACKLOG = 16 * 2**20  # bytes that wait for a child that does not read
SETTLE = 0.5  # seconds between the first sign of an end and the last


class Owner(Protocol):
    """Whoever runs a child."""

    def received(self, message: Message) -> None:
        """The child has said this."""

    def deaf(self, why: str) -> None:
        """It closed a pipe, or reads nothing: it is of no use any more."""

    def ended(self, why: str) -> None:
        """It is gone, with its whole process group. Once; nothing comes after it."""


@implementer(IPushProducer)
class ChildProcess(ProcessProtocol):
    """
    One run of a server.

    What it is sent waits here while its pipe is full; what it prints on standard
    error is always read, since a full pipe would stop it.
    """

    transport: IProcessTransport
    log = Logger()

    def __init__(
        self,
        settings: ChildSettings,
        clock: IReactorTime,
        owner: Owner,
        guardian: Guardian,
    ) -> None:
        self.pid: int | None = None
        self._settings = settings
        self._clock = clock
        self._owner = owner
        self._guardian = guardian
        self._printed = Printed(settings.name, clock, settings.masked())
        self._lines = ChildLines(self._printed.noise, settings.line_limit)
        self._unsent: list[bytes] = []
        self._backlog = 0  # bytes
        self._full = False
        self._deaf = False
        self._ending = False
        self._why = ""
        self._timer: IDelayedCall | None = None

    @property
    def backlogged(self) -> bool:
        """Whether so much waits to be read by it that no more should be sent."""
        return self._backlog > BACKLOG

    def start(self, reactor: IReactorProcess, host: Mapping[str, str]) -> None:
        """
        Run it.

        :param host: our own environment.
        :raises OSError: the system has no room for another process.
        """
        env = self._settings.environment(host)
        argv = launching(self._settings, env)
        reactor.spawnProcess(
            self,
            argv[0].encode(),
            [os.fsencode(arg) for arg in argv],
            env={os.fsencode(k): os.fsencode(v) for k, v in env.items()},
        )

    def send(self, line: bytes) -> None:
        """Write `line`, now or when the child has read what was written before."""
        if self._ending or self._deaf:
            return
        if self._full:
            self._unsent.append(line)
            self._backlog += len(line)
            if self._backlog > 4 * BACKLOG:
                self._useless("it does not read what it is sent")
        else:
            self.transport.writeToChild(0, line)

    def end(self) -> None:
        """Close its input, then TERM, then KILL its group, as long as it lives."""
        if self._ending:
            return
        self._ending = True
        self._stop_timer()
        self._unsent.clear()
        self._backlog = 0
        if self.pid is None:
            return  # gone already
        self.transport.closeChildFD(0)
        self._timer = self._clock.callLater(self._settings.grace, self._terminate)

    # IProcessProtocol

    def connectionMade(self) -> None:
        self.pid = self.transport.pid
        assert self.pid is not None
        self._guardian.watch(self.pid)
        self.transport.pipes[0].registerProducer(self, True)  # type: ignore[attr-defined]

    def outReceived(self, data: bytes) -> None:
        for message in self._lines.feed(data):
            self._owner.received(message)

    def errReceived(self, data: bytes) -> None:
        self._printed.feed(data)

    def inConnectionLost(self) -> None:
        self._deaf = True
        self._closed("it closed its input")

    def outConnectionLost(self) -> None:
        self._closed("it closed its output")

    def processExited(self, reason: Failure) -> None:
        # Whatever it started must not outlive it, and may hold its pipes open.
        self._stop_timer()
        self._ending = True
        group, self.pid = self.pid, None
        assert group is not None
        _signal(group, signal.SIGKILL)
        self._guardian.forget(group)
        self._why = _told(reason)
        self._timer = self._clock.callLater(SETTLE, self._cut_off)

    def processEnded(self, reason: Failure) -> None:
        self._stop_timer()
        self._printed.eof()
        why = self._why
        if why == f"exit code {CANNOT_RUN}" and self._printed.last:
            why = self._printed.last
        self._owner.ended(why)

    # IPushProducer, of its input

    def pauseProducing(self) -> None:
        """Its pipe is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """It has read."""
        self._full = False
        waiting, self._unsent = self._unsent, []
        self._backlog = 0
        for line in waiting:
            self.send(line)

    def stopProducing(self) -> None:
        """It reads no more; `inConnectionLost` follows."""

    # The end

    def _closed(self, why: str) -> None:
        # Usually it has ended, and that is told in a moment.
        if not self._ending and self._timer is None:
            self._timer = self._clock.callLater(SETTLE, self._useless, why)

    def _useless(self, why: str) -> None:
        self._stop_timer()
        if not self._ending:
            self._owner.deaf(why)

    def _terminate(self) -> None:
        self._kill(signal.SIGTERM)
        self._timer = self._clock.callLater(
            self._settings.grace, self._kill, signal.SIGKILL
        )

    def _kill(self, number: signal.Signals) -> None:
        self._timer = None
        if self.pid is not None and not _signal(self.pid, number):
            # It has no group of its own yet.
            with contextlib.suppress(ProcessExitedAlready):
                self.transport.signalProcess(number.name.removeprefix("SIG"))

    def _cut_off(self) -> None:
        # Something that left the group holds a pipe of it.
        self._timer = None
        self.transport.loseConnection()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def launching(settings: ChildSettings, env: Mapping[str, str]) -> list[str]:
    """The command that becomes the server."""
    known = settings.limits
    asked: dict[str, object] = {
        "parent": os.getpid(),
        "cwd": settings.cwd,
        "locale": env.get("LC_CTYPE"),
        "data": known.memory,
        "cpu": known.cpu,
        "files": known.files,
        "processes": known.processes,
    }
    told = [f"{key}={value}" for key, value in asked.items() if value is not None]
    python = [sys.executable, "-I", "-S", str(LAUNCHER)]
    return [*python, *told, "--", *settings.wrapper, *settings.command]


def _signal(group: int, number: signal.Signals) -> bool:
    """Whether there was such a group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # all that is left of it is not ours
        return True
    return True


def _told(reason: Failure) -> str:
    error = reason.value
    if isinstance(error, ProcessDone):
        return "exit code 0"
    number = getattr(error, "signal", None)
    if number is not None:
        return f"killed by {signal.Signals(number).name}"
    return f"exit code {getattr(error, 'exitCode', None)}"
