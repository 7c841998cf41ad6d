"""The requests that a legacy server makes of us while it works on one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from modelplex.mcp.effects import Asks, Effect, Send, Ticket, Withdrawn
from modelplex.tools import Question
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Answer,
    Call,
    Failure,
    Id,
    RpcError,
)
from modelplex.wire.mcp.envelope import meta_of

MOST = 16  # at a time
KEY = "modelplex/key"
"""Key of the ``_meta`` of a question that says what it is called."""


@define(eq=False)
class Questions:
    """Those that are open; each is answered once, or withdrawn."""

    _open: dict[Id, Asks] = field(factory=dict)

    @property
    def tickets(self) -> list[Ticket]:
        """Whose callers have to answer one."""
        return [asks.ticket for asks in self._open.values()]

    def ask(self, call: Call, ticket: Ticket | None) -> list[Effect]:
        """
        The server wants to know something.

        :param ticket: whose caller it is about; ``None`` when that is not clear.
        """
        if call.id in self._open:
            return []  # an answer would not say to which
        if len(self._open) >= MOST:
            return refusal(call, INVALID_REQUEST, "too many questions at a time")
        if call.params.get("mode", "form") != "form":
            return refusal(call, INVALID_PARAMS, "this mode was not declared")
        if ticket is None:
            return refusal(call, INTERNAL_ERROR, "it is not clear who is asked")
        asks = Asks(ticket, {_key(call): Question(call.method, call.params)}, call.id)
        self._open[call.id] = asks
        return [asks]

    def reply(self, asks: Asks, results: Mapping[str, Any]) -> list[Effect]:
        """Whoever was asked has answered; too late is no mistake."""
        if asks.id is None or not self._closed(asks):
            return []
        (key,) = asks.questions
        if key not in results:
            return [Send(Failure(asks.id, INTERNAL_ERROR, "there is no answer"))]
        return [Send(Answer(asks.id, results[key]))]

    def refuse(self, asks: Asks, error: RpcError) -> list[Effect]:
        """Whoever was asked will not, or cannot, answer."""
        if asks.id is None or not self._closed(asks):
            return []
        # Codes of the modern era mean nothing to a legacy server.
        code = error.rpc_code
        if -32099 <= code <= -32020:
            code = METHOD_NOT_FOUND
        return [Send(Failure(asks.id, code, error.message))]

    def withdraw(self, number: Id) -> list[Effect]:
        """The server does not want to know any more."""
        asks = self._open.pop(number, None)
        return [] if asks is None else [Withdrawn(asks)]

    def end(self, ticket: Ticket, why: str) -> list[Effect]:
        """The request that they belong to is over."""
        effects: list[Effect] = []
        for number, asks in list(self._open.items()):
            if asks.ticket is ticket:
                del self._open[number]
                effects.append(Withdrawn(asks))
                effects.append(Send(Failure(number, INTERNAL_ERROR, why)))
        return effects

    def _closed(self, asks: Asks) -> bool:
        """Close `asks`; whether it was still open."""
        assert asks.id is not None
        if self._open.get(asks.id) is not asks:
            return False
        del self._open[asks.id]
        return True


def _key(call: Call) -> str:
    """
    What a modern client is told that the question is called.

    Names of questions came with the modern era; a legacy server may give one of its
    own in ``_meta``.
    """
    given = meta_of(call.params).get(KEY)
    return given if isinstance(given, str) and 0 < len(given) <= 64 else "request"


def refusal(call: Call, code: int, why: str) -> list[Effect]:
    """Answer `call` with an error."""
    return [Send(Failure(call.id, code, why))]
