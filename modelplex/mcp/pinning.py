"""Notes what servers offer, for the next start and for who has to accept it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from attrs import asdict, define
from twisted.logger import Logger
from zope.interface import implementer

from modelplex.interfaces import IToolServer, IToolServerWatcher
from modelplex.storage.definitions import Definitions, Standing
from modelplex.tools import Listing


def remembered(definitions: Definitions, server: str) -> Listing:
    """What a server offered when it was last seen; nothing when that is not known."""
    kept = definitions.listing(server)
    if kept is None:
        return Listing()
    try:
        return msgspec.convert(kept, type=Listing)
    except msgspec.ValidationError:
        return Listing()


@implementer(IToolServerWatcher)
@define(eq=False, repr=False)
class Pinning:
    """
    Tells `Definitions` what each server offers.

    It has to watch a server before whoever shows its tools does: a tool that was not
    noted yet is not trusted.

    :ivar quarantined: is told the names of tools that now wait to be accepted.
    """

    log = Logger()

    _definitions: Definitions
    quarantined: Callable[[str, list[str]], None] | None = None

    def changed(self, server: IToolServer) -> None:
        """Note the listing that it has now."""
        standing = self._definitions.seen(server.name, server.listing.tools)
        self._definitions.remember(server.name, asdict(server.listing, recurse=False))
        waiting = [n for n, it in standing.items() if it is not Standing.TRUSTED]
        if waiting:
            self.log.warn(
                "{server}: {count} tools are new or have changed and wait for "
                "`modelplex tools accept`",
                server=server.name,
                count=len(waiting),
            )
            if self.quarantined is not None:
                self.quarantined(server.name, waiting)

    def updated(self, server: IToolServer, uri: str) -> None:
        """Nothing: what resources hold is not pinned."""
