"""A whole Modelplex on a real socket, in this process, watched for secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from modelplex.config import parse
from modelplex.service import ModelplexService
from modelplex.testing.fakes import guest


@implementer(ILogObserver)
@define(eq=False)
class Log:
    """
    Everything that is logged.

    :ivar texts: each event as text, with all its fields and tracebacks.
    """

    events: list[LogEvent] = field(factory=list)
    texts: list[str] = field(factory=list)

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        trace = "" if failure is None else failure.getTraceback(detail="verbose")
        self.events.append(event)
        self.texts.append(f"{formatEvent(event)} {event!r} {trace}")


@define(eq=False)
class House:
    """One service with one socket, in a directory of its own."""

    directory: Path
    reactor: Any
    service: ModelplexService = field(init=False)
    socket: str = field(init=False)
    log: Log = field(factory=Log)
    _serving: bool = False

    def open(self, config: str, environ: Mapping[str, str], server: str = "") -> None:
        """
        Serve `config`.

        :param config: TOML of everything but ``[server]``.
        :param server: the further lines of that.
        """
        for name in ("g", "c"):  # never in one directory: guests get theirs mounted
            (self.directory / name).mkdir(mode=0o700)
        self.socket = str(self.directory / "g" / "s")
        control = self.directory / "c" / "s"
        head = f'[server]\nsocket = "{self.socket}"\ncontrol = "{control}"\n'
        parsed = parse(f"{head}{server}\n{config}", environ)
        globalLogPublisher.addObserver(self.log)
        try:
            self.service = ModelplexService(parsed, self.reactor, environ, verbose=True)
            self.service.startService()
        except BaseException:
            globalLogPublisher.removeObserver(self.log)
            raise
        self._serving = True

    async def close(self) -> None:
        """Stop serving, at once: whatever still runs is cut. Twice does no harm."""
        if not self._serving:
            return
        self._serving = False
        stopping = Deferred.fromCoroutine(self.service.stopService())
        try:
            self.service.cut()
            await stopping
        finally:
            globalLogPublisher.removeObserver(self.log)

    async def call(self, target: str, body: object = None, *headers: str) -> guest.Call:
        """Send a request as a guest."""
        return await guest.call(self.reactor, self.socket, target, body, *headers)

    async def answered(
        self, target: str, body: object = None, *headers: str
    ) -> guest.Call:
        """The same, once the answer is complete."""
        return await guest.answered(self.reactor, self.socket, target, body, *headers)

    async def chat(self, model: str, stream: bool = False, **more: Any) -> guest.Call:
        """Chat, once the answer is complete."""
        return await self.answered(CHAT, asking(model, stream, **more))

    def exchanges(self) -> list[LogEvent]:
        """The log events of the exchanges that have ended, oldest first."""
        return [event for event in self.log.events if "total_ms" in event]


CHAT = "/v1/chat/completions"


def asking(model: str, stream: bool = False, **more: Any) -> dict[str, Any]:
    """The body of a small chat request."""
    messages = [{"role": "user", "content": "Hi there"}]
    return {"model": model, "messages": messages, "stream": stream, **more}
