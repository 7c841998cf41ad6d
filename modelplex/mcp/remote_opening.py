"""
How a remote server is met: what era it is of, and which way its messages travel.

MCP 2026-07-28, Streamable HTTP, backward compatibility: ask as a modern client does;
what the answer's status and error say decides. A server that answers with 5xx, or not
at all, has said nothing about its era.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from modelplex.mcp.handshake import INITIALIZE, Ask, Handshake, Opened, Step, Unfit
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.remote_legacy import LegacyWire
from modelplex.mcp.remote_link import Link, Owner
from modelplex.mcp.remote_modern import ModernWire
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.mcp.remote_sse import SseLink
from modelplex.mcp.remote_url import RemoteUrl
from modelplex.mcp.remote_wire import Refusal, StreamLost, Wire
from modelplex.tools import ToolServerError
from modelplex.wire.jsonrpc import (
    METHOD_NOT_FOUND,
    Answer,
    Call,
    Failure,
    Message,
    Note,
)
from modelplex.wire.mcp.envelope import wrapped
from modelplex.wire.mcp.headers import Marked
from modelplex.wire.mcp.revisions import LATEST_MODERN

Marks: TypeAlias = Callable[[str], Sequence[Marked]]

#: Statuses of an ``initialize`` after which a server of 2024-11-05 is looked for.
_OLDER = (400, 404, 405)
#: What a modern server has that does not say what it has.
_ANYTHING: dict[str, Any] = {
    name: {} for name in ("tools", "resources", "prompts", "completions")
}


class Older(ToolServerError):
    """The server may be one of 2024-11-05, with a stream to be opened first."""


@define(eq=False)
class Opening:
    """
    One attempt.

    :ivar wire: the way that it has come to.
    """

    _url: RemoteUrl
    _us: Ourselves
    _settings: RemoteSettings
    _clock: IReactorTime
    _marks: Marks
    _modern: ModernWire = field(init=False)
    _legacy: LegacyWire = field(init=False)
    _id: int = 0
    _status: int = 0  # of the last answer

    def __attrs_post_init__(self) -> None:
        self._modern = ModernWire(self._url, self._marks)
        self._legacy = LegacyWire(self._url, self._clock)

    async def link(self, owner: Owner) -> Link | SseLink:
        """
        Find out, and begin.

        :raises ToolServerError: it cannot be asked, or speaks nothing that we do.
        :raises UpstreamError: it cannot be reached.
        """
        try:
            agreed, wire = await self.opened()
        except Older as older:
            return await self._older(older, owner)
        return Link(agreed, self._us, wire, self._settings, self._clock, owner)

    async def _older(self, older: Older, owner: Owner) -> SseLink:
        link = SseLink(self._us, self._url, self._settings, self._clock, owner)
        try:
            await link.open()
        except BaseException as e:
            link.drop(older)
            if isinstance(e, ToolServerError):
                raise older from None  # what it said first is what it means
            raise
        return link

    async def opened(self) -> tuple[Opened, Wire]:
        """
        What is agreed on with a server that has no stream of its own.

        :raises ToolServerError: it cannot be asked, or speaks nothing that we do.
        :raises Older: see there.
        :raises UpstreamError: it cannot be reached.
        """
        handshake = Handshake(self._settings.protocol, self._us.initialize())
        step: Step = handshake.begin()
        while isinstance(step, Ask):
            step = await self._asked(handshake, step)
        if isinstance(step, Unfit):
            raise ToolServerError(f"{self._url.name}: {step.why}")
        if step.modern:
            return step, self._modern
        self._legacy.version = step.version
        await self._legacy.tell(Note("notifications/initialized"))
        return step, self._legacy

    async def _asked(self, handshake: Handshake, ask: Ask) -> Step:
        beginning = ask.method == INITIALIZE
        try:
            answer = await self._answer(ask, beginning)
        except Refusal as e:
            return self._refused(handshake, e, beginning)
        if isinstance(answer, Answer):
            return handshake.answered(answer.result)
        if self._status in (401, 403):
            raise Refusal(self._url.name, self._status)
        missing = self._status == 404 and answer.code == METHOD_NOT_FOUND
        if missing and not beginning:
            # Only a modern server says so with this status.
            found = {"supportedVersions": [LATEST_MODERN], "capabilities": _ANYTHING}
            return handshake.answered(found)
        if beginning and self._status in _OLDER:
            step = handshake.failed(answer.code, answer.data)
            if isinstance(step, Unfit):
                raise Older(f"{self._url.name}: {step.why}")
            return step
        return handshake.failed(answer.code, answer.data)

    def _refused(self, handshake: Handshake, error: Refusal, beginning: bool) -> Step:
        status = error.answered
        if status in (401, 403, 429) or status >= 500:
            raise error
        if beginning:
            if status in _OLDER:
                raise Older(error.message)
            raise error
        step = handshake.overdue()
        if step is None:
            raise error
        return step

    async def _answer(self, ask: Ask, beginning: bool) -> Answer | Failure:
        self._id += 1
        params = ask.params
        if not beginning:
            params = wrapped(params, self._us.envelope(None))
        call = Call(self._id, ask.method, params)
        found: list[Answer | Failure] = []

        def deliver(message: Message) -> None:
            if isinstance(message, Answer | Failure):
                found.extend([message] if str(message.id) == str(call.id) else [])

        wire: Wire = self._legacy if beginning else self._modern
        self._status = await wire.exchange(call, deliver, lambda: not found)
        if not found:
            raise StreamLost(f"{self._url.name}: it did not answer")
        return found[0]
