"""The names that guests see."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.names import LONGEST, assigned, marked, plain

OWN = st.tuples(
    st.sampled_from(["a", "a__b", "b", "long" * 20]),
    st.sampled_from(["c", "b__c", "x.y", "x_y", "x/y"]) | st.text(max_size=80),
)


def test_a_name_says_its_server_and_the_tool() -> None:
    assert plain("files", "read_file") == "files__read_file"


@given(st.lists(OWN, max_size=30))
def test_names_are_unique_safe_and_short_and_lead_back(tools: list) -> None:  # type: ignore[type-arg]
    names = assigned(tools)
    assert len(set(names.values())) == len(names)
    assert set(names.values()) == set(tools)
    for name in names:
        assert re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}", name)


@given(st.lists(OWN, max_size=10), st.randoms())
def test_names_do_not_depend_on_the_order(tools: list, random: object) -> None:  # type: ignore[type-arg]
    mixed = list(tools)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert dict(assigned(tools)) == dict(assigned(mixed))


def test_a_long_name_keeps_its_start_and_is_marked() -> None:
    name = plain("files", "x" * 100)
    assert len(name) == LONGEST
    assert name.startswith("files__xxxx")
    assert name != plain("files", "x" * 101)


def test_shadowing_takes_no_name_from_another_server() -> None:
    """Server a offers b__c so as to be called for server a__b's c."""
    before = assigned([("a__b", "c")])
    after = assigned([("a", "b__c"), ("a__b", "c")])
    assert before == {"a__b__c": ("a__b", "c")}
    assert "a__b__c" not in after
    assert set(after) == {marked("a", "b__c"), marked("a__b", "c")}


def test_a_tool_that_is_called_like_a_marked_one_is_marked_itself() -> None:
    mark = marked("s", "x.y").removeprefix("s__")
    names = assigned([("s", "x.y"), ("s", "x_y"), ("s", mark)])
    assert names[marked("s", "x.y")] == ("s", "x.y")
    assert names[marked("s", mark)] == ("s", mark)


def test_what_a_server_names_twice_is_named_once() -> None:
    assert assigned([("s", "a"), ("s", "a")]) == {"s__a": ("s", "a")}
