"""One modern request, whatever carries it: all about the client comes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from modelplex.surface.mcp_askable import askable
from modelplex.surface.mcp_notes import is_heard, log_note, progress_note
from modelplex.surface.mcp_running import Way
from modelplex.surface.mcp_served import Served, Watching
from modelplex.tools import Question, Silent
from modelplex.wire.jsonrpc import Answer, Call, Note, Params, Result
from modelplex.wire.mcp.envelope import SERVER, SUBSCRIPTION, Envelope

LISTEN = "subscriptions/listen"


@define(eq=False)
class SingleCall:
    """A request of a modern client, as whoever answers it sees it: a `Caller`."""

    _served: Served
    call: Call
    _envelope: Envelope
    _way: Way
    request_id: str = ""
    guest: str = field(init=False)
    capabilities: Mapping[str, Any] = field(init=False)
    log_level: str | None = field(init=False)
    _progress: float | None = None

    def __attrs_post_init__(self) -> None:
        self.guest = self._served.guest
        # A call that is parked keeps them.
        self.capabilities = askable(self._envelope.capabilities)
        self.log_level = self._envelope.log_level

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        note = progress_note(self.call, self._progress, progress, total, message)
        if note is not None:
            self._progress = progress
            self._way.tell(note, droppable=True)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        if is_heard(level, self.log_level):
            self._way.tell(log_note(level, logger, data), droppable=True)

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        # It is not asked while its request runs: what has to ask parks the request.
        return await Silent(self.guest).ask(questions)

    async def answered(self) -> Result:
        """The result; raises `GatewayError`. Cancelling it cancels the request."""
        return await self._served.request(
            self.call.method, self.call.params, self, self._envelope.version
        )


@define(eq=False)
class Listen:
    """What a modern client is told of changes, under the id it asked with."""

    _served: Served
    _call: Call
    _way: Way
    _watching: Watching | None = None
    _early: list[Note] | None = field(factory=list)

    def begin(self, envelope: Envelope) -> None:
        """
        Say first what will be told, and then tell it.

        :raises RpcError: it asks for what cannot be.
        """
        watching = self._served.listen(envelope, self._call.params, self._tell)
        self._watching = watching
        acknowledged = Note(
            "notifications/subscriptions/acknowledged",
            {"notifications": dict(watching.honoured)},
        )
        early, self._early = self._early or [], None
        for note in (acknowledged, *early):
            self._tell(note)

    def end(self) -> None:
        """Nothing more is told, and the client is told so."""
        self.stop()
        meta = {**self._meta(), SERVER: dict(self._served.stamp)}
        result = {"resultType": "complete", "_meta": meta}
        self._way.end(Answer(self._call.id, result))

    def stop(self) -> None:
        """Nothing more is told. May be called more than once."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.stop()

    def _tell(self, note: Note) -> None:
        if self._early is not None:
            self._early.append(note)
            return
        params: Params = {**note.params, "_meta": self._meta()}
        self._way.tell(Note(note.method, params))

    def _meta(self) -> dict[str, Any]:
        return {SUBSCRIPTION: self._call.id}
