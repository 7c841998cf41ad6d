"""
The client's role in one conversation with a server, of either era.

Pure: messages and the wishes of callers come in, `Effect` values go out, in the order
in which they are to be done. It knows no clock: whoever runs it says when something
is overdue. Nothing that a server sends raises.

What a shared server says without naming a request belongs to somebody only when it
can be nobody else's: when exactly one guest's request is in flight, and none that was
given up may still be worked on. Where all are one guest's, those that wait for an
answer of their client do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from modelplex.errors import GatewayError
from modelplex.mcp.child_settings import Protocol
from modelplex.mcp.effects import (
    Again,
    Answered,
    Asks,
    Changed,
    Effect,
    Failed,
    Send,
    Ticket,
    Updated,
    Withdrawn,
)
from modelplex.mcp.handshake import DISCOVER, Ask, Handshake, Opened, Step
from modelplex.mcp.heard import id_of, logged, our_id, progressed
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.pending import Pending
from modelplex.mcp.questions import Questions, refusal
from modelplex.mcp.rounds import ROUNDS, input_required, unanswered
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Answer,
    Call,
    Failure,
    Id,
    Message,
    Note,
    Params,
    Result,
    RpcError,
)
from modelplex.wire.mcp.envelope import (
    PROGRESS,
    bare,
    meta_of,
    wrapped,
)

__all__ = ["ClientSession", "Ourselves"]

_CANCELLED = "notifications/cancelled"
_LISTS = frozenset(
    f"notifications/{kind}/list_changed" for kind in ("tools", "resources", "prompts")
)


@define(eq=False)
class ClientSession:
    """
    One conversation, from its first message to its end.

    :param next: the id of our first request.
    :ivar opened: what was agreed on; ``None`` before.
    :ivar ignored: how often the server sent what nobody waited for, by kind.
    """

    _us: Ourselves
    _protocol: Protocol = "auto"
    opened: Opened | None = None
    ignored: Counter[str] = field(factory=Counter)
    _handshake: Handshake = field(init=False)
    _next: int = 1
    _opening: int | None = None  # the id of what opens the conversation
    _pending: Pending = field(init=False)
    _questions: Questions = field(factory=Questions)
    _rounds: dict[Ticket, Asks] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._handshake = Handshake(self._protocol, self._us.initialize())
        self._pending = Pending(self.ignored, self._next)

    @property
    def probing(self) -> bool:
        """Whether the server was asked what a legacy one may not survive."""
        return self.opened is None and self._handshake.asking == DISCOVER

    @property
    def probed(self) -> bool:
        """Whether a probe may be why the server does not open the conversation."""
        return self.opened is None and self._protocol == "auto"

    @property
    def in_flight(self) -> int:
        """How many requests of guests wait for the server."""
        return len(self._pending.of_guests)

    def begin(self) -> list[Effect]:
        """The first thing to do."""
        return self._step(self._handshake.begin())

    def overdue(self) -> list[Effect]:
        """The server does not answer what opens the conversation."""
        step = self._handshake.overdue() if self.opened is None else None
        return [] if step is None else self._step(step)

    def call(self, ticket: Ticket) -> list[Effect]:
        """Make the request of `ticket`; only when `opened`."""
        return self._send(ticket, ticket.params)

    def cancel(self, ticket: Ticket, reason: str) -> list[Effect]:
        """Nobody waits for it any more; nothing is told of it from now on."""
        if ticket.settled:
            return []
        number = ticket.id
        quiet = ticket.guest if ticket in self._questions.tickets else ""
        effects = self._settle(ticket, "the request was cancelled")
        if number is not None:
            if ticket.private:
                self._pending.linger(number, quiet)
            told = {"requestId": number, "reason": reason}
            effects.append(Send(Note(_CANCELLED, told)))
        return effects

    def forget(self, number: int) -> None:
        """Nothing can come any more of a request that was given up."""
        self._pending.forget(number)

    def replied(self, asks: Asks, results: Mapping[str, Any]) -> list[Effect]:
        """Whoever was asked has answered; too late is no mistake."""
        if asks.id is not None:
            return self._questions.reply(asks, results)
        if self._rounds.get(asks.ticket) is not asks:
            return []
        del self._rounds[asks.ticket]
        ticket = asks.ticket
        params = dict(ticket.params)
        if answers := {**ticket.answers, **results}:
            params["inputResponses"] = answers
        if ticket.state is not None:
            params["requestState"] = ticket.state
        ticket.answers = {}
        return self._send(ticket, params)

    def refused(self, asks: Asks, error: RpcError) -> list[Effect]:
        """Whoever was asked will not, or cannot, answer."""
        if asks.id is not None:
            return self._questions.refuse(asks, error)
        if self._rounds.get(asks.ticket) is not asks:
            return []
        del self._rounds[asks.ticket]
        return [*self._settle(asks.ticket, ""), Failed(asks.ticket, error)]

    def undeliverable(self, message: Message, error: RpcError) -> list[Effect]:
        """`message` could not be sent."""
        if isinstance(message, Call) and isinstance(message.id, int):
            ticket = self._pending.get(message.id)
            if ticket is not None:
                return [*self._settle(ticket, ""), Failed(ticket, error)]
        if isinstance(message, Answer):
            return [Send(Failure(message.id, INTERNAL_ERROR, error.message))]
        return []

    def close(self, error: GatewayError) -> list[Effect]:
        """The server is gone: every request fails with `error`."""
        effects: list[Effect] = []
        for ticket in [*self._pending.all, *self._rounds]:
            gone = [e for e in self._settle(ticket, "") if not isinstance(e, Send)]
            effects += [*gone, Failed(ticket, error)]
        return effects

    def receive(self, message: Message) -> list[Effect]:
        """What follows from a message of the server."""
        match message:
            case Answer():
                return self._answered(message)
            case Failure():
                return self._failed(message)
            case Call():
                return self._asked(message)
            case Note():
                return self._noted(message)

    # What opens the conversation

    def _step(self, step: Step) -> list[Effect]:
        if isinstance(step, Ask):
            self._opening = number = self._pending.number()
            params = step.params
            if step.method == DISCOVER:
                params = wrapped(params, self._us.envelope(None))
            return [Send(Call(number, step.method, params))]
        self._opening = None
        if not isinstance(step, Opened):
            return [step]
        self.opened = step
        if step.modern:
            return [step]
        return [Send(Note("notifications/initialized")), step]

    # Our requests

    def _send(self, ticket: Ticket, params: Params) -> list[Effect]:
        assert self.opened is not None
        number = self._pending.put(ticket)
        if self.opened.modern:
            params = wrapped(params, self._us.envelope(ticket))
        else:
            params = bare(params)
        # We declare no tasks, so a server must not make one of it.
        params = {key: value for key, value in params.items() if key != "task"}
        if ticket.private:
            params = {**params, "_meta": {**meta_of(params), PROGRESS: number}}
        return [Send(Call(number, ticket.method, params))]

    def _answered(self, message: Answer) -> list[Effect]:
        number = our_id(message.id)
        if number is not None and number == self._opening:
            return self._step(self._handshake.answered(message.result))
        ticket = self._pending.take(number)
        if ticket is None:
            return []
        if not isinstance(message.result, dict):
            return self._invalid(ticket, "the server answered no object")
        assert self.opened is not None
        if not self.opened.modern:
            return self._done(ticket, message.result)
        match message.result.get("resultType", "complete"):
            case "complete":
                return self._done(ticket, message.result)
            case "input_required":
                return self._input_required(ticket, message.result)
        return self._invalid(ticket, "the server answered with an unknown type")

    def _failed(self, message: Failure) -> list[Effect]:
        number = our_id(message.id)
        if number is not None and number == self._opening:
            return self._step(self._handshake.failed(message.code, message.data))
        ticket = self._pending.take(number)
        if ticket is None:
            return []
        error = RpcError(message.code, message.message, message.data)
        return [*self._settle(ticket, "the request has failed"), Failed(ticket, error)]

    def _done(self, ticket: Ticket, result: Result) -> list[Effect]:
        return [*self._settle(ticket, "the request is done"), Answered(ticket, result)]

    def _invalid(self, ticket: Ticket, why: str) -> list[Effect]:
        error = RpcError(INTERNAL_ERROR, why)
        return [*self._settle(ticket, why), Failed(ticket, error)]

    def _settle(self, ticket: Ticket, why: str) -> list[Effect]:
        """Take `ticket` out of everything; its open questions are withdrawn."""
        self._pending.end(ticket)
        effects: list[Effect] = []
        asks = self._rounds.pop(ticket, None)
        if asks is not None:
            effects.append(Withdrawn(asks))
        return [*effects, *self._questions.end(ticket, why)]

    # What the server wants to know

    def _input_required(
        self, ticket: Ticket, result: Mapping[str, Any]
    ) -> list[Effect]:
        ticket.id = None
        ticket.rounds += 1
        if ticket.rounds > ROUNDS:
            return self._invalid(ticket, f"the server asked over {ROUNDS} times")
        found = input_required(ticket.method, result)
        if isinstance(found, str):
            return self._invalid(ticket, found)
        ticket.state = found.state
        ticket.answers, left = unanswered(found.questions, self._us.roots)
        asks = Asks(ticket, left)
        self._rounds[ticket] = asks
        if left:
            return [asks]
        if found.questions:
            return self.replied(asks, {})
        return [Again(asks, ticket.rounds)]

    def _asked(self, call: Call) -> list[Effect]:
        if self.opened is not None and self.opened.modern:
            self.ignored["request"] += 1  # a modern server has none to send
            return []
        match call.method:
            case "ping":
                return [Send(Answer(call.id, {}))]
            case "roots/list" if self._us.roots:
                return [Send(Answer(call.id, {"roots": list(self._us.roots)}))]
            case method if method in self._us.questions:
                asked = self._questions.tickets
                return self._questions.ask(call, self._pending.only(asked))
        return refusal(call, METHOD_NOT_FOUND, "this client has no such method")

    # What the server tells

    def _noted(self, note: Note) -> list[Effect]:
        params = note.params
        match note.method:
            case "notifications/progress":
                ticket = self._pending.get(our_id(params.get("progressToken")))
                return _one(progressed(params, ticket) if ticket else None)
            case "notifications/message":
                ticket = self._pending.only(self._questions.tickets)
                return _one(logged(params, ticket) if ticket else None)
            case "notifications/resources/updated":
                uri = params.get("uri")
                return [Updated(uri)] if isinstance(uri, str) else []
            case "notifications/cancelled":
                return self._cancelled(id_of(params.get("requestId")))
            case method if method in _LISTS:
                return [Changed()] if self.opened is not None else []
        self.ignored["notification"] += 1
        return []

    def _cancelled(self, id: Id | None) -> list[Effect]:
        effects = [] if id is None else self._questions.withdraw(id)
        if effects:
            return effects
        ticket = self._pending.get(our_id(id))
        if ticket is not None and ticket.method == "subscriptions/listen":
            return self._invalid(ticket, "the server ended it")
        return []


def _one(effect: Effect | None) -> list[Effect]:
    return [] if effect is None else [effect]
