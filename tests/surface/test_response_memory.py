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
    kept = memory(bytes=20_000)
    for id in ("a", "b", "c"):
        kept.keep(response(id, 8000))
    assert kept.find("a") is None and len(kept) == 2
    assert 16_000 <= kept.size <= 20_000


def test_what_is_too_large_drives_nothing_out() -> None:
    kept = memory(largest=2000)
    kept.keep(response("a"))
    kept.keep(response("b", 2001))
    assert kept.find("a") is not None and kept.find("b") is None


def test_items_are_counted_whatever_their_size() -> None:
    kept = memory(bytes=100_000)
    kept.keep(Stored("a", (b"",) * 1000, (), b""))
    assert kept.find("a") is None


def test_the_ids_of_items_are_counted_again() -> None:
    kept = memory(bytes=10_000)
    kept.keep(response("a", 0, "i" * 5000))
    assert kept.find("a") is None


def test_a_provider_that_has_one_id_for_all_is_remembered_as_of_the_last() -> None:
    kept = memory()
    kept.keep(response("resp_1", 0, "first"), by="a")
    kept.keep(response("resp_1", 0, "last"), by="a")
    assert "last" in kept.items() and "first" not in kept.items()
    assert len(kept) == 1


def test_a_response_is_not_replaced_by_anothers_with_its_id() -> None:
    kept = memory()
    kept.keep(response("resp_1", 0, "mine"), by="a")
    kept.keep(response("resp_1", 0, "theirs"), by="b")
    kept.keep(response("resp_1", 0, "private"), "one", by="a")
    found = kept.find("resp_1")
    assert found is not None and b"mine" in found.output[0]
    known = kept.items("one")
    assert "mine" in known and "theirs" not in known and "private" not in known
    assert kept.forget("resp_1")
    kept.keep(response("resp_1", 0, "theirs"))
    assert "theirs" in kept.items() and "mine" not in kept.items()


def test_what_a_reference_costs_does_not_depend_on_all_that_is_kept() -> None:
    # Reading all of it for each would be 2,000,000,000 items, and the test time out.
    kept = memory()
    for number in range(10):
        items = [f"item_{number}_{place}" for place in range(10_000)]
        kept.keep(response(f"r{number}", 0, *items))
    assert len(kept) == 10
    assert not any(f"nope_{n}" in kept.items() for n in range(10_000))
    assert all(f"item_9_{n}" in kept.items() for n in range(10_000))


def test_input_that_came_without_ids_is_found_by_those_it_was_given() -> None:
    kept = memory()
    sent = b'{"role":"user","content":"x"}'
    kept.keep(Stored("resp_a", (sent, sent), (), b""))
    known = kept.items()
    assert json.loads(known["msg_a_in_1"]) == {**json.loads(sent), "id": "msg_a_in_1"}
    assert "msg_a_in_2" not in known


def test_an_item_stays_known_while_a_response_has_it() -> None:
    kept = memory(entries=2)
    for id in ("a", "b", "c"):
        kept.keep(response(id, 0, "shared", f"of_{id}"))
    known = kept.items()
    assert "shared" in known and "of_c" in known and "of_a" not in known
    kept.forget("c")
    assert "shared" in kept.items() and "of_c" not in kept.items()
    kept.forget("b")
    assert "shared" not in kept.items()


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

    ENTRIES, BYTES, LARGEST, LIFETIME = 5, 20_000, 8000, 50.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = ResponseMemory(
            self.clock.seconds, self.ENTRIES, self.BYTES, self.LARGEST, self.LIFETIME
        )
        self.kept: dict[str, tuple[float, object]] = {}

    @rule(id=IDS, size=st.integers(0, 9000), items=st.integers(0, 12), owner=OWNERS)
    def keep(self, id: str, size: int, items: int, owner: object) -> None:
        self.memory.items()  # forgets what is too old
        if id in self.memory._kept:
            return
        self.memory.keep(Stored(id, (b"{}",) * items, (), b"x" * size), owner)
        self.kept[id] = self.clock.seconds(), owner
        if size < 2000 and items < 5:  # then it is the newest, and fits
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
        held = {id for ids in self.memory._holders.values() for id in ids}
        with_items = {i for i, kept in self.memory._kept.items() if kept.places}
        assert held == with_items


test_its_bounds_always_hold = Memories.TestCase
