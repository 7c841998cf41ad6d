"""What can be known of a peer that says nothing: is it there, does it still read."""

from __future__ import annotations

import select
import socket
from typing import Any

from attrs import define
from twisted.internet.interfaces import ISystemHandle

_HUNG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


def hung_up(transport: Any) -> bool | None:
    """
    Whether the peer has closed both directions; ``None`` when that cannot be told.

    On AF_UNIX the kernel reports POLLHUP only once both directions are shut, so a
    half-close (``nc -N``) is told from a hang-up without reading. TCP only ever shows
    the same end of input for both.
    """
    if not ISystemHandle.providedBy(transport):
        return None
    handle: Any = transport.getHandle()
    if getattr(handle, "family", None) != socket.AF_UNIX:
        return None
    poll = select.poll()
    poll.register(handle.fileno(), 0)  # hang-up and error are always reported
    return any(flags & _HUNG_UP for _, flags in poll.poll(0))


@define(eq=False)
class Stall:
    """
    How long a peer has read nothing of what was written to it.

    Whoever reads slowly makes progress, and only whoever has stopped is stalled. So
    this looks at how much of the transport's buffer has left, not at how long the
    buffer has been full.
    """

    _since: float = 0.0
    _seen: tuple[int, int] | None = None

    def begin(self, now: float) -> None:
        """There is something to read from now on."""
        self._since, self._seen = now, None

    def lasted(self, transport: Any, now: float) -> float:
        """Seconds without progress, as far as the calls of this method can tell."""
        # In memory there are no such attributes, and thus no progress.
        seen = (
            getattr(transport, "offset", 0),
            len(getattr(transport, "dataBuffer", b"")),
        )
        if self._seen is not None and seen != self._seen:
            self._since = now
        self._seen = seen
        return now - self._since
