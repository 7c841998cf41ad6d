"""One legacy client from ``initialize`` to its end, whatever carries its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from modelplex.mcp.asking import check_askable
from modelplex.surface.mcp_askable import askable
from modelplex.surface.mcp_asking import Asking
from modelplex.surface.mcp_notes import is_heard, log_note, progress_note
from modelplex.surface.mcp_running import Running, Way
from modelplex.surface.mcp_served import Served, Watching
from modelplex.tools import Question
from modelplex.wire.jsonrpc import (
    INVALID_PARAMS,
    Answer,
    Call,
    Failure,
    Message,
    Note,
    Params,
    Result,
    RpcError,
    encode,
)
from modelplex.wire.mcp.envelope import LEVELS
from modelplex.wire.mcp.revisions import LATEST_LEGACY
from modelplex.wire.mcp.shapes import not_found

LONGEST_INTRODUCTION = 64 * 2**10  # bytes of what initialize may say


@define(eq=False)
class Session:
    """
    What one legacy client has said about itself, and what runs for it.

    :ivar version: the revision that was agreed on.
    :ivar capabilities: what the client can be asked.
    :ivar log_level: the least it wants to hear of; it may set another.
    """

    served: Served
    _unrelated: Callable[[Note], None] = field(repr=False)
    _idle: Callable[[], None] = field(repr=False)
    version: str = LATEST_LEGACY
    capabilities: Mapping[str, Any] = field(factory=dict)
    log_level: str = "info"
    running: Running = field(init=False)
    asking: Asking = field(factory=Asking)
    _watching: Watching | None = None

    def __attrs_post_init__(self) -> None:
        self.running = Running(self._idle)

    def initialize(self, params: Params) -> Result:
        """
        Begin, or begin anew; gives the answer.

        :raises RpcError: a client says too much about itself.
        """
        if len(encode(Note("", params))) > LONGEST_INTRODUCTION:
            raise RpcError(
                INVALID_PARAMS, f"over {LONGEST_INTRODUCTION} bytes about a client"
            )
        answer = self.served.initialize(params)
        self.version = answer["protocolVersion"]
        self.capabilities = askable(params.get("capabilities"))
        self._watched()
        return answer

    def take(self, message: Message, way: Way, request_id: str = "") -> None:
        """Act on `message`; a call is answered over `way`, now or later."""
        match message:
            case Call():
                asked = LegacyCall(self, message, way, request_id)
                self.running.begin(message, lambda: self._answered(asked), way)
            case Note("notifications/cancelled"):
                self.running.cancel(message.params.get("requestId"))
            case Answer() | Failure():
                self.asking.answered(message)
            case Note():
                pass  # of use to nobody here

    def close(self) -> None:
        """Stop everything; nothing is told any more. May be called more than once."""
        self.running.cancel_all()
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.stop()

    async def _answered(self, asked: LegacyCall) -> Result:
        params = asked.call.params
        match asked.call.method:
            case "initialize":
                return self.initialize(params)
            case "ping":
                return {}
            case "logging/setLevel":
                level = params.get("level")
                if level not in LEVELS:
                    raise RpcError(INVALID_PARAMS, "level: no such level")
                self.log_level = str(level)
                return {}
            case "resources/subscribe":
                uri = _uri(params)
                missing = not_found(uri, self.version)
                await self._watched().subscribe(uri, missing)
                return {}
            case "resources/unsubscribe":
                await self._watched().unsubscribe(_uri(params))
                return {}
            case method:
                return await self.served.request(method, params, asked, self.version)

    def _watched(self) -> Watching:
        if self._watching is None:
            self._watching = self.served.watch(self._unrelated)
        return self._watching


def _uri(params: Params) -> str:
    uri = params.get("uri")
    if not isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "uri: a string is required")
    return uri


@define(eq=False)
class LegacyCall:
    """One call of a legacy client, as whoever answers it sees it: a `Caller`."""

    _session: Session
    call: Call
    _way: Way
    request_id: str = ""
    guest: str = field(init=False)
    capabilities: Mapping[str, Any] = field(init=False)
    log_level: str | None = field(init=False)
    _progress: float | None = None

    def __attrs_post_init__(self) -> None:
        self.guest = self._session.served.guest
        self.capabilities = self._session.capabilities
        self.log_level = self._session.log_level

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        note = progress_note(self.call, self._progress, progress, total, message)
        if note is not None:
            self._progress = progress
            self._way.tell(note, droppable=True)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        # It may have been set while the call runs.
        if is_heard(level, self._session.log_level):
            self._way.tell(log_note(level, logger, data), droppable=True)

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        check_askable(questions, self.capabilities)
        return {
            key: await self._session.asking.ask(question, self._way)
            for key, question in questions.items()
        }
