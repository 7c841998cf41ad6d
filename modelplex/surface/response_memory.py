"""
The responses that one guest can still name: in memory only, and bounded.

They are what ``store`` and ``previous_response_id`` mean here. Nobody else's are ever
in it, and nothing outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import define, field, frozen

from modelplex.wire.responses.history import Stored, item_at, places

ENTRIES = 1024
BYTES = 64 * 2**20  # of all of them
LARGEST = 16 * 2**20  # bytes of one that is kept at all
SECONDS = 24 * 3600.0
PRIVATE = 8  # entries of one connection that asked for nothing to be stored
_ENTRY = 1024  # bytes that an entry takes besides its own
_ITEM = 512  # bytes that an item takes besides its own, and its id twice


@frozen
class _Kept:
    stored: Stored
    size: int
    until: float
    owner: object
    by: str
    places: Mapping[str, int]


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
    # the ids of the responses that an item is in, the oldest first
    _holders: dict[str, dict[str, None]] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, stored: Stored, owner: object = None, by: str = "") -> None:
        """
        Remember `stored`, unless it is too large to be worth all the others.

        One that is known is replaced only by its own provider's: a provider chooses
        the ids of what it answers, and must not change what another has answered.

        :param by: the provider that answered.
        """
        self._expire()
        items = len(stored.input) + len(stored.output)
        size = stored.size + _ENTRY + _ITEM * items
        known = self._kept.get(stored.id)
        if known is not None and (known.by, known.owner) != (by, owner):
            return
        if size > self._largest:
            return
        found = places(stored)
        size += sum(map(len, found))
        if size > self._largest:
            return
        if known is not None:
            self._drop(stored.id)
        until = self._seconds() + self._lifetime
        self._kept[stored.id] = _Kept(stored, size, until, owner, by, found)
        for id in found:
            self._holders.setdefault(id, {})[stored.id] = None
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
        return KnownItems(lambda id: self._item(id, owner))

    def _item(self, id: str, owner: object) -> bytes | None:
        """The item `id` of the newest response that has it and `owner` can see."""
        for holder in reversed(self._holders.get(id, {})):
            kept = self._kept[holder]
            if kept.owner is None or kept.owner is owner:
                return item_at(kept.stored, kept.places[id])
        return None

    def _expire(self) -> None:
        now = self._seconds()
        while self._kept:
            id, kept = next(iter(self._kept.items()))
            if kept.until > now:
                return
            self._drop(id)

    def _drop(self, id: str) -> None:
        kept = self._kept.pop(id, None)
        if kept is None:
            return
        self.size -= kept.size
        for item in kept.places:
            holders = self._holders[item]
            del holders[id]
            if not holders:
                del self._holders[item]


@define(eq=False)
class KnownItems(Mapping[str, bytes]):
    """Items by their ids, each looked for once; only those that were are counted."""

    _look: Callable[[str], bytes | None]
    _found: dict[str, bytes] = field(factory=dict, init=False)

    def __getitem__(self, id: str) -> bytes:
        if id not in self._found:
            item = self._look(id)
            if item is None:
                raise KeyError(id)
            self._found[id] = item
        return self._found[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
