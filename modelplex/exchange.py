"""One guest request and everything done for it: what the log will say."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from modelplex.wire.asked import Operation


@define(eq=False)
class Attempt:
    """One candidate that was asked; `outcome` is ``opened`` or an error's kind."""

    provider: str
    model: str
    started: float
    outcome: str = "cancelled"
    seconds: float = 0.0

    def ended(self, outcome: str, now: float) -> None:
        """Note how it went; without this it was cancelled."""
        self.outcome = outcome
        self.seconds = now - self.started


@define(eq=False)
class Exchange:
    """
    What is known about one exchange.

    :ivar started: on the reactor's clock, seconds, as are all times here.
    :ivar first_event: when the answer's first piece was there.
    :ivar dropped: fields of the request that did not reach the provider.
    :ivar error: the kind of the error that ended it, if one did.
    """

    request_id: str
    guest: str
    operation: Operation
    model: str
    stream: bool
    started: float
    _clock: IReactorTime = field(repr=False)
    attempts: list[Attempt] = field(factory=list)
    provider: str | None = None
    target: str | None = None
    first_event: float | None = None
    dropped: tuple[str, ...] = ()
    error: str | None = None
    status: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish: str | None = None

    def attempt(self, provider: str, model: str) -> Attempt:
        """A new attempt, which has just begun."""
        attempt = Attempt(provider, model, self._clock.seconds())
        self.attempts.append(attempt)
        return attempt
