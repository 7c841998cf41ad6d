"""When a server that ended is started again, and when it is given up."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from modelplex.mcp.child_settings import RestartSettings


@define(eq=False)
class Restarts:
    """
    Counts the ends of one server.

    :param chance: a number from 0 to 1, another one each time, so that servers that
        ended together do not start together.
    """

    _settings: RestartSettings
    _chance: Callable[[], float]
    in_a_row: int = 0

    def ended(self, ran: float) -> float | None:
        """
        Seconds until it is started again; ``None`` when it is given up.

        :param ran: seconds for which it was ready; 0 when it never was.
        """
        known = self._settings
        if ran >= known.stable:
            self.in_a_row = 0
        self.in_a_row += 1
        if self.in_a_row >= known.times:
            return None
        delay = min(known.most, known.first * 2.0 ** min(self.in_a_row - 1, 32))
        return delay * (0.5 + self._chance() / 2)

    def forgive(self) -> None:
        """Begin anew, because the operator said so."""
        self.in_a_row = 0
