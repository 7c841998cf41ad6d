"""What a legacy client is asked by whoever it has called, and its answers."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred

from modelplex.surface.mcp_running import Way
from modelplex.tools import Question
from modelplex.wire.jsonrpc import Answer, Call, Failure, Id, Note, Result, RpcError


@define(eq=False)
class Asking:
    """
    The questions that one client has not answered yet.

    They have ids of our own, which say nothing of the server that asks.
    """

    _open: dict[Id, Deferred[Result]] = field(factory=dict)
    _count: int = 0

    async def ask(self, question: Question, way: Way) -> Result:
        """
        Ask the client over `way`.

        :raises RpcError: as the client answered.

        Cancelling tells the client that nobody waits for its answer any more.
        """
        self._count += 1
        id = f"ask-{self._count}"

        def cancelled(_: object) -> None:
            note = Note(
                "notifications/cancelled",
                {"requestId": id, "reason": "the call has ended"},
            )
            way.tell(note, droppable=True)

        answer: Deferred[Result] = Deferred(cancelled)
        self._open[id] = answer
        way.tell(Call(id, question.method, question.params))
        try:
            return await answer
        finally:
            self._open.pop(id, None)

    def answered(self, answer: Answer | Failure) -> None:
        """Take an answer; one to nothing that was asked is ignored."""
        waiting = None if answer.id is None else self._open.pop(answer.id, None)
        if waiting is None:
            return
        if isinstance(answer, Answer):
            waiting.callback(answer.result)
        else:
            waiting.errback(RpcError(answer.code, answer.message, answer.data))
