"""The tools of a fake remote server at work: streams that tell, ask, and go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, field
from twisted.web.server import NOT_DONE_YET, Request

from modelplex.testing.fakes.mcp_answers import (
    Fault,
    Play,
    Tool,
    abort,
    as_json,
    begin,
    event,
    status,
    text,
)


@define(eq=False)
class _Stream:
    """One open answer that may still tell, or ask."""

    request: Request
    play: Play
    id: Any


@define(eq=False)
class Plays:
    """
    Every call that is being answered.

    :ivar gone: ids of calls whose client hung up.
    :ivar kept: what a GET gets that names the last event.
    """

    gone: list[Any] = field(factory=list)
    kept: dict[str, bytes] = field(factory=dict)
    _asking: dict[str, _Stream] = field(factory=dict)

    def called(
        self,
        request: Request,
        message: Mapping[str, Any],
        tool: Tool | None,
        fault: Fault | None,
    ) -> Any:
        """Answer a call of `tool`, which may be unknown, or fail at it."""
        id = message["id"]
        answer = {"jsonrpc": "2.0", "id": id, "result": text("late")}
        match fault:
            case Fault.ACCEPTED:
                return status(request, 202)
            case Fault.ERROR:
                return status(request, 500)
            case Fault.HTML:
                request.setHeader("content-type", "text/html")
                return b"<p>Welcome"
            case Fault.REDIRECT:
                request.setHeader("location", "/moved")
                return status(request, 308)
            case Fault.ELSEWHERE:
                request.setHeader("location", "http://127.0.0.1:9/mcp")
                return status(request, 307)
            case Fault.OTHER_ID:
                return as_json(request, {**answer, "id": 10**9})
            case Fault.HANG:
                self._watched(request, id)
                return NOT_DONE_YET
        begin(request)
        self._watched(request, id)
        match fault:
            case Fault.CUT:
                request.write(b": begun\n\n")
                abort(request)
                return NOT_DONE_YET
            case Fault.PAUSE:
                self.kept["e1"] = event(answer)
                request.write(b"id: e1\nretry: 10\ndata:\n\n")
                request.finish()
                return NOT_DONE_YET
            case Fault.GARBAGE:
                request.write(b"data: {not json\n\n")
                request.finish()
                return NOT_DONE_YET
            case Fault.DEAF:
                request.write(b": begun\n\n")
                return NOT_DONE_YET
        if tool is None:
            request.write(event({**answer, "result": {**text("?"), "isError": True}}))
            request.finish()
            return NOT_DONE_YET
        stream = _Stream(request, tool(message["params"]), id)
        self._go_on(stream, None)
        return NOT_DONE_YET

    def answered(self, message: Mapping[str, Any]) -> Callable[[], None] | None:
        """What goes on with the answer to a question; ``None`` if nobody asked it."""
        stream = self._asking.pop(str(message["id"]), None)
        return None if stream is None else partial(self._go_on, stream, message)

    def _watched(self, request: Request, id: Any) -> None:
        request.notifyFinish().addErrback(lambda _: self.gone.append(id))

    def _go_on(self, stream: _Stream, answer: Any) -> None:
        """Play a tool until it asks, or is done."""
        request = stream.request
        try:
            while True:
                said = stream.play.send(answer)
                answer = None
                request.write(event(said))
                if "id" in said:
                    self._asking[str(said["id"])] = stream
                    return
        except StopIteration as e:
            told = {"jsonrpc": "2.0", "id": stream.id, "result": e.value}
            request.write(event(told))
            request.finish()
