"""
The responses that one guest can still name: in memory only, and bounded.

They are what ``store`` and ``previous_response_id`` mean here. Nobody else's are ever
in it, and nothing outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from modelplex.wire.responses.history import Stored, identified

ENTRIES = 1024
BYTES = 64 * 2**20  # of all of them
LARGEST = 16 * 2**20  # bytes of one that is kept at all
SECONDS = 24 * 3600.0
PRIVATE = 8  # entries of one connection that asked for nothing to be stored
_ITEM = 64  # bytes that an item takes besides its own


@frozen
class _Kept:
    stored: Stored
    size: int
    until: float
    owner: object


@define(eq=False)
class ResponseMemory:
    """
    What one guest's responses were, the oldest forgotten first.

    What is too old is forgotten when the memory is next used. An entry with an owner
    is seen by that owner only: a WebSocket connection remembers for itself what its
    guest did not want to be stored.

    :ivar size: bytes that all entries take.
    """

    _seconds: Callable[[], float]
    _entries: int = ENTRIES
    _bytes: int = BYTES
    _largest: int = LARGEST
    _lifetime: float = SECONDS
    size: int = field(default=0, init=False)
    # the oldest first
    _kept: dict[str, _Kept] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, stored: Stored, owner: object = None) -> None:
        """Remember `stored`, unless it is too large to be worth all the others."""
        self._expire()
        self._drop(stored.id)
        size = stored.size + _ITEM * (len(stored.input) + len(stored.output) + 1)
        if size > self._largest:
            return
        until = self._seconds() + self._lifetime
        self._kept[stored.id] = _Kept(stored, size, until, owner)
        self.size += size
        if owner is not None:
            own = [id for id, kept in self._kept.items() if kept.owner is owner]
            for id in own[:-PRIVATE]:
                self._drop(id)
        while self.size > self._bytes or len(self._kept) > self._entries:
            self._drop(next(iter(self._kept)))

    def find(self, id: str, owner: object = None) -> Stored | None:
        """The response `id`, if it is known to whoever asks."""
        self._expire()
        kept = self._kept.get(id)
        if kept is None or (kept.owner is not None and kept.owner is not owner):
            return None
        return kept.stored

    def forget(self, id: str) -> bool:
        """Forget the response `id`; whether it was known."""
        known = self.find(id) is not None
        if known:
            self._drop(id)
        return known

    def release(self, owner: object) -> None:
        """Forget what only `owner` could see."""
        for id in [id for id, kept in self._kept.items() if kept.owner is owner]:
            self._drop(id)

    def items(self, owner: object = None) -> KnownItems:
        """Every item of every response that `owner` can see, by its id."""
        self._expire()
        return KnownItems(
            kept.stored
            for kept in reversed(self._kept.values())
            if kept.owner is None or kept.owner is owner
        )

    def _expire(self) -> None:
        now = self._seconds()
        while self._kept:
            id, kept = next(iter(self._kept.items()))
            if kept.until > now:
                return
            self._drop(id)

    def _drop(self, id: str) -> None:
        kept = self._kept.pop(id, None)
        if kept is not None:
            self.size -= kept.size


class KnownItems(dict[str, bytes]):
    """Items by their ids, read out of responses as far as they are looked for."""

    def __init__(self, responses: Iterator[Stored]) -> None:
        super().__init__()
        self._responses = responses

    def __contains__(self, id: object) -> bool:
        while not super().__contains__(id):
            stored = next(self._responses, None)
            if stored is None:
                return False
            # What was found first is of a newer response, and stays.
            for name, item in identified(stored).items():
                self.setdefault(name, item)
        return True
