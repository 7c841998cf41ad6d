"""What a guest's responses leave in memory, and for how long."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock

from modelplex.surface.response_memory import PRIVATE, ResponseMemory
from modelplex.wire.responses.history import Stored

IDS = st.sampled_from([f"resp_{n}" for n in range(12)])
OWNERS = st.sampled_from([None, "one", "other"])


def response(id: str, size: int = 0, *items: str) -> Stored:
    output = tuple(json.dumps({"id": item, "type": "x"}).encode() for item in items)
    return Stored(id, (), output, b"x" * size)


def memory(clock: Clock | None = None, **limits: int) -> ResponseMemory:
    return ResponseMemory((clock or Clock()).seconds, **limits)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    kept = memory(entries=2)
    for id in ("a", "b", "c"):
        kept.keep(response(id))
    assert kept.find("a") is None
    assert kept.find("b") is not None and kept.find("c") is not None


def test_the_oldest_goes_when_they_are_too_large_together() -> None:
    kept = memory(bytes=2000)
    for id in ("a", "b", "c"):
        kept.keep(response(id, 800))
    assert kept.find("a") is None and len(kept) == 2
    assert 1600 <= kept.size <= 2000


def test_what_is_too_large_drives_nothing_out() -> None:
    kept = memory(largest=1000)
    kept.keep(response("a"))
    kept.keep(response("b", 1001))
    assert kept.find("a") is not None and kept.find("b") is None


def test_items_are_counted_whatever_their_size() -> None:
    kept = memory(bytes=10_000)
    kept.keep(Stored("a", (b"",) * 1000, (), b""))
    assert kept.find("a") is None


def test_what_is_old_is_gone() -> None:
    clock = Clock()
    kept = memory(clock, lifetime=60)
    kept.keep(response("a", 0, "item"))
    clock.advance(59)
    assert kept.find("a") is not None and "item" in kept.items()
    clock.advance(1)
    assert kept.find("a") is None and "item" not in kept.items()
    assert (len(kept), kept.size) == (0, 0)


def test_only_its_owner_sees_what_is_not_stored() -> None:
    kept = memory()
    kept.keep(response("a", 0, "item"), "one")
    assert kept.find("a", "one") is not None and "item" in kept.items("one")
    for other in ("other", None):
        assert kept.find("a", other) is None and "item" not in kept.items(other)
    assert not kept.forget("a")
    kept.release("one")
    assert kept.find("a", "one") is None and kept.size == 0


def test_an_owner_has_only_the_last_few() -> None:
    kept = memory()
    kept.keep(response("stored"))
    for number in range(PRIVATE + 2):
        kept.keep(response(f"r{number}"), "one")
    assert kept.find("r1", "one") is None and kept.find("r2", "one") is not None
    assert kept.find("stored") is not None


def test_the_newest_item_of_an_id_is_the_one_meant() -> None:
    kept = memory()
    for number in (1, 2):
        item = b'{"id":"i","n":%d}' % number
        kept.keep(Stored(f"r{number}", (), (item,), b""))
    known = kept.items()
    assert "other" not in known and "i" in known
    assert json.loads(known["i"])["n"] == 2


class Memories(RuleBasedStateMachine):
    """Whatever is done to a memory, its bounds hold and it counts right."""

    ENTRIES, BYTES, LARGEST, LIFETIME = 5, 3000, 1200, 50.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = ResponseMemory(
            self.clock.seconds, self.ENTRIES, self.BYTES, self.LARGEST, self.LIFETIME
        )
        self.kept: dict[str, tuple[float, object]] = {}

    @rule(id=IDS, size=st.integers(0, 1500), items=st.integers(0, 12), owner=OWNERS)
    def keep(self, id: str, size: int, items: int, owner: object) -> None:
        self.memory.keep(Stored(id, (b"{}",) * items, (), b"x" * size), owner)
        self.kept[id] = self.clock.seconds(), owner
        if size < 200 and items < 5:  # then it is the newest, and fits
            assert self.memory.find(id, owner) is not None

    @rule(id=IDS)
    def forget(self, id: str) -> None:
        self.memory.forget(id)
        assert self.memory.find(id) is None

    @rule(owner=OWNERS.filter(bool))
    def release(self, owner: object) -> None:
        self.memory.release(owner)
        for id in self.kept:
            if self.kept[id][1] == owner:
                assert self.memory.find(id, owner) is None

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(id=IDS, owner=OWNERS)
    def find(self, id: str, owner: object) -> None:
        found = self.memory.find(id, owner)
        if found is not None:
            since, whose = self.kept[id]
            assert found.id == id
            assert self.clock.seconds() - since < self.LIFETIME
            assert whose is None or whose == owner

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.memory) <= self.ENTRIES
        assert 0 <= self.memory.size <= self.BYTES
        assert bool(self.memory.size) == bool(len(self.memory))


test_its_bounds_always_hold = Memories.TestCase
