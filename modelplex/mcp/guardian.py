"""The one process that outlives us, if we are killed, to end what our servers left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

PROGRAM = Path(__file__).with_name("guard.py")


@define(eq=False, repr=False)
class Guardian:
    """
    Tells the guard process which process groups there are.

    It runs from the first group on until `stop`, and is started again with the next
    group if somebody ends it.
    """

    _reactor: IReactorProcess
    _groups: set[int] = field(factory=set)
    _guard: _Guard | None = None
    log = Logger()

    def watch(self, group: int) -> None:
        """End the processes of `group` if we are killed."""
        self._groups.add(group)
        if self._guard is not None:
            self._guard.tell(f"+{group}\n")
            return
        guard = _Guard(self._ended)
        argv = [sys.executable, "-I", "-S", str(PROGRAM)]
        try:
            self._reactor.spawnProcess(
                guard,
                argv[0].encode(),
                [arg.encode() for arg in argv],
                env={},
                childFDs={0: "w", 1: "r", 2: "r"},
            )
        except OSError as e:
            self.log.warn("No guard process could be started: {why}", why=str(e))
            return
        self._guard = guard
        for one in self._groups:
            guard.tell(f"+{one}\n")

    def forget(self, group: int) -> None:
        """`group` has no processes any more; its number may be another's soon."""
        self._groups.discard(group)
        if self._guard is not None:
            self._guard.tell(f"-{group}\n")

    async def stop(self) -> None:
        """End the guard; what is still watched is ended with it."""
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.end()

    def _ended(self, guard: _Guard) -> None:
        if self._guard is guard:
            self._guard = None
            self.log.warn("The guard process has ended")


class _Guard(ProcessProtocol):
    transport: IProcessTransport

    def __init__(self, lost: Callable[[_Guard], None]) -> None:
        self._lost = lost
        self._ended: Deferred[None] | None = None
        self._over = False
        self._deaf = False

    def tell(self, line: str) -> None:
        if not self._deaf:
            self.transport.writeToChild(0, line.encode())

    def end(self) -> Deferred[None]:
        self._ended = Deferred()
        if self._over:
            self._ended.callback(None)
        else:
            self.transport.closeChildFD(0)
        return self._ended

    def inConnectionLost(self) -> None:
        self._deaf = True

    def processEnded(self, reason: Failure) -> None:
        self._over = True
        self._lost(self)
        if self._ended is not None:
            self._ended.callback(None)
