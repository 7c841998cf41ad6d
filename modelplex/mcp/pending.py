"""The requests of ours that a server has not answered yet, and whose talk it may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import define, field

from modelplex.mcp.effects import Ticket

LINGERING = 4096  # requests given up that are remembered


@define(eq=False)
class Pending:
    """
    Tickets by the ids of their rounds; an id is never used again.

    :ivar stray: how often an answer came that nobody waited for, by kind.
    """

    stray: Counter[str] = field(factory=Counter)
    _next: int = 1
    _tickets: dict[int, Ticket] = field(factory=dict)
    #: Those that were given up, and whose they were if they only waited for a client.
    _lingering: dict[int, str] = field(factory=dict)
    _quiet: Counter[str] = field(factory=Counter)  # of those, by guest

    @property
    def of_guests(self) -> list[Ticket]:
        """Those that were made for a guest."""
        return [ticket for ticket in self._tickets.values() if ticket.private]

    def only(self, asked: Sequence[Ticket] = ()) -> Ticket | None:
        """
        The one ticket that what the server says without naming one can be about.

        There is none as long as one that was given up may still be worked on, unless
        it was the same guest's and only waited for an answer.

        :param asked: those whose callers were asked something, and have not answered,
            in that order. As long as all are of one guest, it is about another one, or
            else about the last of them, as when a server asks several things at once.
        """
        mine = self.of_guests
        if len(mine) > 1 and mine[0].guest and len({one.guest for one in mine}) == 1:
            mine = [one for one in mine if one not in asked] or list(asked[-1:])
        if len(mine) != 1 or len(self._lingering) > self._quiet[mine[0].guest]:
            return None
        return mine[0]

    @property
    def all(self) -> list[Ticket]:
        """Every one."""
        return list(self._tickets.values())

    def number(self) -> int:
        """The next id."""
        number, self._next = self._next, self._next + 1
        return number

    def put(self, ticket: Ticket) -> int:
        """A round of `ticket` begins; returns its id."""
        ticket.id = number = self.number()
        self._tickets[number] = ticket
        return number

    def get(self, number: int | None) -> Ticket | None:
        """The one whose round has this id."""
        return None if number is None else self._tickets.get(number)

    def take(self, number: int | None) -> Ticket | None:
        """Its round is answered; ``None`` when nobody waits for that."""
        ticket = None if number is None else self._tickets.pop(number, None)
        if ticket is None:
            known = number is not None and 0 < number < self._next
            self.stray["late" if known else "unknown"] += 1
            if number is not None:
                self.forget(number)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        if ticket.id is not None:
            self._tickets.pop(ticket.id, None)
        ticket.id, ticket.settled = None, True

    def linger(self, number: int, quiet: str = "") -> None:
        """
        It was given up, and the server may still work on it.

        :param quiet: whose it was, if it only waited for an answer of its client. What
            the server may still say of it is taken to be of that guest's next one.
        """
        self._lingering[number] = quiet
        if quiet:
            self._quiet[quiet] += 1
        if len(self._lingering) > LINGERING:
            self.forget(next(iter(self._lingering)))

    def forget(self, number: int) -> None:
        """The server does not any more."""
        quiet = self._lingering.pop(number, "")
        if quiet:
            self._quiet[quiet] -= 1
            if not self._quiet[quiet]:
                del self._quiet[quiet]
