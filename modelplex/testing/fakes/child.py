"""Real children for tests: fake servers under `ChildServer`, and none is left."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from zope.interface import implementer

from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.mcp.child import ChildServer, spawning
from modelplex.mcp.child_settings import ChildSettings, RestartSettings
from modelplex.mcp.guardian import Guardian
from modelplex.tools import Question, Silent

PROGRAM = Path(__file__).with_name("mcp_server.py")
QUICK = RestartSettings(first=0.01, most=0.05)


def fake_settings(*habits: str, **more: Any) -> ChildSettings:
    """How the fake server with `habits` is started."""
    given = {"restarts": QUICK, "grace": 0.3, "name": "fake", **more}
    command = (sys.executable, "-I", "-S", str(PROGRAM), *habits)
    return evolve(ChildSettings("", command), **given)


class Asked(Silent):
    """A caller that notes what it is told, and answers what it is asked."""

    def __init__(self, level: str | None = None, answer: Any = None) -> None:
        super().__init__("guest")
        self.capabilities = {"elicitation": {}, "sampling": {}, "roots": {}}
        self.log_level = level
        self.progress: list[float] = []
        self.lines: list[tuple[str, Any]] = []
        self.questions: list[Mapping[str, Question]] = []
        self._answer = {"action": "accept"} if answer is None else answer

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        self.progress.append(progress)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        self.lines.append((level, data))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        self.questions.append(questions)
        if callable(self._answer):
            answers: Mapping[str, Any] = await self._answer(questions)
            return answers
        return dict.fromkeys(questions, self._answer)


@implementer(IToolServerWatcher)
@define(eq=False)
class Watching:
    """Notes what changed."""

    changes: int = 0
    uris: list[str] = field(factory=list)

    def changed(self, server: IToolServer) -> None:
        self.changes += 1

    def updated(self, server: IToolServer, uri: str) -> None:
        self.uris.append(uri)


@define(eq=False)
class Children:
    """Makes servers, and ends them all."""

    _reactor: Any
    host: Mapping[str, str] = field(factory=lambda: os.environ)
    made: list[ChildServer] = field(factory=list)
    guardian: Guardian = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.guardian = Guardian(self._reactor)

    def server(self, *habits: str, **more: Any) -> ChildServer:
        """A server with `habits`; `more` are `ChildSettings`."""
        return self.run(fake_settings(*habits, **more))

    def run(self, settings: ChildSettings) -> ChildServer:
        """A server as `settings` say."""
        one = ChildServer(
            settings,
            self._reactor,
            spawning(self._reactor, self.host, self.guardian),
            {"name": "modelplex", "version": "test"},
            lambda: 0.5,
        )
        self.made.append(one)
        return one

    async def stop(self) -> None:
        """End all of them, and wait for it."""
        for one in self.made:
            await one.stop()
        await self.guardian.stop()
