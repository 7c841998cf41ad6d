"""What proves who asks, where it is not known before the asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Credentials(Protocol):
    """Headers that must be fetched, and are kept for a while."""

    @property
    def secrets(self) -> Sequence[str]:
        """Texts that must not appear in any error, as far as they are known."""

    async def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """
        The headers to send now.

        :raises GatewayError: there are none to be had.
        """

    def refused(self) -> None:
        """The upstream did not take them: they are fetched anew."""

    async def close(self) -> None:
        """Give up what is under way, and idle connections."""
