"""The calls of the host's tools that one answer of a model is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from attrs import define, field, frozen
from twisted.internet.defer import Deferred, FirstError, gatherResults

from modelplex.errors import GatewayError
from modelplex.events import Event, HostCall, HostResult, Text, ToolCall, ToolResult
from modelplex.surface.toolkit import Toolkit
from modelplex.tools import HostTool
from modelplex.wire.jsonrpc import Result
from modelplex.wire.mcp.for_models import Piece, answered

_NO_TOOL = "Not called: there is no such tool."
_NO_OBJECT = "Not called: the arguments are no JSON object."
_TOO_MANY = "Not called: these are too many calls."


class HostTools(Protocol):
    """What one guest may use of the host's tools."""

    async def offered(self) -> Sequence[HostTool]:
        """All of them; waits, but not for long, when nothing is known yet."""

    async def call(
        self, name: str, arguments: Mapping[str, Any], request_id: str = ""
    ) -> Result:
        """
        Call one, as the guest is permitted to; cancelling cancels it.

        :param request_id: of the request that the model answers.
        :returns: the result, or one that says why there is none.
        :raises GatewayError: there is no such tool, or it could not answer.
        """


class ToolRoundsTooLarge(GatewayError):
    """What tools gave is more than one answer may be made of."""

    kind = "tool_rounds_too_large"
    status = 502
    code = "tool_rounds_too_large"
    should_retry = False


@frozen
class Bounds:
    """
    What one answer may take.

    :ivar rounds: times that the model is asked.
    :ivar total: seconds, all rounds and calls together, and waiting for the operator.
    :ivar calls: of one round; more are not made.
    :ivar size: characters that all results together may have.
    """

    rounds: int = 10
    total: float = 1800.0
    calls: int = 64
    size: int = 16 * 2**20


@define(eq=False)
class ToolCalls:
    """
    Makes the calls of all rounds, and tells the guest of them if it is shown calls.

    Whatever keeps a call from being made or answered is its result, which the model
    reads.
    """

    _tools: HostTools
    _kit: Toolkit
    _bounds: Bounds
    _tell: Callable[[Sequence[Event]], None]
    _request_id: str = ""
    _made: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)  # characters of results

    async def made(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """
        Make calls, all at once; gives their results in the order of the calls.

        :raises ToolRoundsTooLarge: the results are.

        Cancelling cancels them all.
        """
        self._show(calls)
        making = [Deferred.fromCoroutine(self._call(one)) for one in self._some(calls)]
        try:
            results: list[ToolResult] = await gatherResults(making, consumeErrors=True)
        except FirstError as e:
            for one in making:
                one.cancel()
            e.subFailure.raiseException()
            raise  # never: the line before does
        rest = calls[len(making) :]
        return [*results, *(self._result(call, _TOO_MANY) for call in rest)]

    def unmade(self, calls: Sequence[ToolCall], why: str) -> list[ToolResult]:
        """The results of calls that are not made."""
        self._show(calls)
        return [self._result(call, f"Not called: {why}") for call in calls]

    def _some(self, calls: Sequence[ToolCall]) -> Sequence[ToolCall]:
        """Those that may be made."""
        most = self._bounds.calls
        if self._kit.wanted.most is not None:
            most = min(most, max(self._kit.wanted.most - self._made, 0))
        self._made += min(most, len(calls))
        return calls[:most]

    def _show(self, calls: Sequence[ToolCall]) -> None:
        if self._kit.wanted.shown:
            label = self._kit.label_of
            self._tell(
                [
                    HostCall(c.id, label(c.name), c.name, c.arguments or "{}")
                    for c in calls
                ]
            )

    async def _call(self, call: ToolCall) -> ToolResult:
        if call.name in self._kit.left:
            return self._result(call, _NO_TOOL)
        arguments = _arguments(call.arguments)
        if arguments is None:
            return self._result(call, _NO_OBJECT)
        try:
            # One that does not exist is recorded like any other's attempt.
            result = await self._tools.call(call.name, arguments, self._request_id)
        except GatewayError as e:  # not Exception: that catches CancelledError
            return self._result(call, e.message)
        content, is_error = answered(result)
        return self._ended(ToolResult(call.id, content, is_error))

    def _result(self, call: ToolCall, why: str) -> ToolResult:
        return self._ended(ToolResult(call.id, (Text(why),), is_error=True))

    def _ended(self, result: ToolResult) -> ToolResult:
        self._size += sum(map(_length, result.content))
        if self._size > self._bounds.size:
            raise ToolRoundsTooLarge("the tools have given more than can be sent on")
        if self._kit.wanted.shown:
            shown = HostResult(result.call_id, result.content, result.is_error)
            self._tell([shown])
        return result


def _arguments(text: str) -> Mapping[str, Any] | None:
    """What a model has written, as an object; nothing at all is an empty one."""
    if not text.strip():
        return {}
    try:
        found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    return found


def _length(piece: Piece) -> int:
    if isinstance(piece, Text):
        return len(piece.text)
    return len(getattr(piece.source, "content", ""))
