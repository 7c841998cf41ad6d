"""The fake upstream and the targets, as child processes in one directory."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from benchmarks import procfs
from benchmarks.children import Child, ChildFailed
from benchmarks.targets import ROOT, Target, Upstream
from benchmarks.workloads import SMALL

_UPSTREAM_PATIENCE = 10.0  # seconds
_ANSWER = 10.0  # seconds for one answer while a target starts
_AGAIN = 0.005  # seconds between two tries
_LEFT_OUT = ("CONFIG_FILE", "SOCKET_PATH")


@define(eq=False)
class Running:
    """Everything that was started, until `close`."""

    directory: Path
    failures: dict[str, str] = field(factory=dict)  # target -> why it was given up
    _stack: ExitStack = field(factory=ExitStack)
    _children: dict[str, Child] = field(factory=dict)
    _upstream: Child | None = None

    def close(self) -> None:
        """End every child."""
        self._stack.close()

    async def start_upstream(self) -> Upstream:
        """:raises ChildFailed: when it does not answer."""
        path = str(self.directory / "up.sock")
        command = (sys.executable, "-m", "benchmarks.upstream", path)
        environment = _environment() | {"PYTHONPATH": str(ROOT)}
        child = Child.spawn("upstream", command, self.directory, environment)
        self._stack.callback(child.stop)
        self._upstream = child
        give_up = time.monotonic() + _UPSTREAM_PATIENCE
        while time.monotonic() < give_up:
            child.check()
            printed = child.log.read_text()
            if printed.endswith("\n"):
                return Upstream(path, int(printed))
            await asyncio.sleep(_AGAIN)
        raise ChildFailed(f"the upstream does not answer: {child.tail()}")

    async def start(self, target: Target) -> float:
        """
        Start a target; again, if it runs.

        :returns: the seconds to its first 200.
        :raises ChildFailed: when that does not come.
        """
        self.stop(target)
        begun = time.perf_counter()
        child = None
        if not target.is_direct:
            environment = _environment() | dict(target.environment)
            child = Child.spawn(
                target.name, target.command, self.directory, environment
            )
            self._children[target.name] = child
            self._stack.callback(child.stop)
        answer = ""
        while time.perf_counter() - begun < target.patience:
            if child is not None:
                child.check()
            answer = await _first_answer(target)
            if not answer:
                return time.perf_counter() - begun
            await asyncio.sleep(_AGAIN)
        raise ChildFailed(f"{target.name} is not ready: {answer}")

    def stop(self, target: Target) -> None:
        """End a target; nothing happens when it does not run."""
        child = self._children.pop(target.name, None)
        if child is not None:
            child.stop()

    def give_up(self, target: Target, why: str) -> None:
        """End a target and remember why, with the end of its log."""
        child = self._children.get(target.name)
        self.failures[target.name] = f"{why}\n{child.tail()}" if child else why
        self.stop(target)

    def upstream_pids(self) -> list[int]:
        """The processes of the fake upstream."""
        return [] if self._upstream is None else self._upstream.pids()

    def pids(self, target: Target) -> list[int]:
        """The processes of a target; none for the upstream itself."""
        child = self._children.get(target.name)
        return [] if child is None else child.pids()

    def memory(self, target: Target) -> int | None:
        """Bytes resident in a target's processes."""
        pids = self.pids(target)
        return procfs.rss(pids) if pids else None


async def _first_answer(target: Target) -> str:
    """What is wrong with the answer to a small request; empty: it is a 200."""
    try:
        connection = await target.address.connect()
        try:
            asked = connection.ask(SMALL.payload(target))
            reply = await asyncio.wait_for(asked, _ANSWER)
        finally:
            connection.close()
    except (OSError, TimeoutError) as e:
        return repr(e)
    return "" if reply.status == 200 else f"{reply.status} {reply.body[:300]!r}"


def _environment() -> dict[str, str]:
    """Ours, without what configures a gateway or would be a secret to it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _LEFT_OUT and not name.endswith("_API_KEY")
    }
