"""What a conversation wants done; the values a `ClientSession` answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import Factory, define, field, frozen

from modelplex.errors import GatewayError
from modelplex.mcp.handshake import Opened, Unfit
from modelplex.tools import Question
from modelplex.wire.jsonrpc import Id, Message, Params, Result


@define(eq=False)
class Ticket:
    """
    One request of ours, over all its rounds.

    :ivar capabilities: what the caller's client can be asked for.
    :ivar log_level: the least that the caller wants to hear of; ``None`` for nothing.
    :ivar private: made for a guest; what the server says meanwhile may be about it.
    :ivar guest: which one.
    :ivar id: of the round in flight; ``None`` between rounds and after the last one.
    """

    method: str
    params: Params = field(repr=False)
    capabilities: Mapping[str, Any] = Factory(dict)
    log_level: str | None = None
    private: bool = True
    guest: str = ""
    id: int | None = None
    rounds: int = 0
    progress: float = float("-inf")
    state: str | None = field(default=None, repr=False)
    answers: dict[str, Any] = field(factory=dict, repr=False)
    settled: bool = False


@frozen
class Send:
    """Send this."""

    message: Message


@frozen
class Answered:
    """A request has its result."""

    ticket: Ticket
    result: Result = field(repr=False)


@frozen
class Failed:
    """A request has failed."""

    ticket: Ticket
    error: GatewayError


@frozen
class Asks:
    """
    The server wants to know something of whoever made the request.

    :ivar id: of the server's own request; ``None`` when it is a round of ours.
    """

    ticket: Ticket
    questions: Mapping[str, Question]
    id: Id | None = None


@frozen
class Withdrawn:
    """The server does not want to know it any more."""

    asks: Asks


@frozen
class Again:
    """The server wants to be asked again after a while: `round` is how often so far."""

    asks: Asks
    round: int


@frozen
class Progressed:
    """A request has come so far."""

    ticket: Ticket
    progress: float
    total: float | None
    message: str | None


@frozen
class Logged:
    """A line of the server's log, which belongs to this request."""

    ticket: Ticket
    level: str
    logger: str | None
    said: Any


@frozen
class Changed:
    """What the server offers is not what it was."""


@frozen
class Updated:
    """A resource has changed."""

    uri: str


Effect: TypeAlias = (
    Send
    | Opened
    | Unfit
    | Answered
    | Failed
    | Asks
    | Withdrawn
    | Again
    | Progressed
    | Logged
    | Changed
    | Updated
)
