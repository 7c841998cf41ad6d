"""Which tools of the host a request offers, and whose a call is."""

from __future__ import annotations

from typing import Any

import pytest

from modelplex.errors import BadRequest
from modelplex.events import (
    Choose,
    HostTools,
    Message,
    Request,
    Role,
    Text,
    Tool,
    ToolChoice,
)
from modelplex.guests.tools import _pattern
from modelplex.surface.tool_forms import Source, ToolsWanted
from modelplex.surface.toolkit import Toolkit, chosen
from modelplex.tools import HostTool


def tool(server: str, own: str, **more: Any) -> HostTool:
    return HostTool(f"{server}__{own}", server, own, {"name": own, **more})


OFFERED = (
    tool("fs", "read", annotations={"readOnlyHint": True}),
    tool("fs", "write"),
    tool("db", "read", annotations={"readOnlyHint": "yes"}),
)
ASKED = Request("m", (Message(Role.USER, (Text("x"),)),))


def kit(*sources: Source, request: Request = ASKED, **more: Any) -> Toolkit:
    wanted = ToolsWanted(sources, "tools", shown=True, **more)
    return chosen(wanted, OFFERED, request)


def names(*sources: Source) -> list[str]:
    return list(kit(*sources).tools)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source(), ["fs__read", "fs__write", "db__read"]),
        (Source(names=("fs__*",)), ["fs__read", "fs__write"]),
        (Source(names=("read",)), []),  # whose?
        (Source(server="fs", names=("read", "secret")), ["fs__read"]),
        (Source(server="fs", without=("read",)), ["fs__write"]),
        (Source(without=("*__read",)), ["fs__write"]),
        (Source(names=()), []),
        (Source(server="nobody"), []),
        (Source(reading=True), ["fs__read"]),
    ],
)
def test_a_source_is_some_of_what_the_guest_may_use(
    source: Source, expected: list[str]
) -> None:
    assert names(source) == expected


def test_a_tool_belongs_to_the_first_that_names_it() -> None:
    found = kit(Source("a", "fs"), Source("b"))
    assert dict(found.labels) == {"fs__read": "a", "fs__write": "a", "db__read": "b"}
    first, second = found.listed()
    assert isinstance(first, HostTools)
    assert (first.label, second.label) == ("a", "b")
    assert [one["name"] for one in first.tools] == ["fs__read", "fs__write"]
    assert [one["name"] for one in second.tools] == ["db__read"]


def test_what_was_listed_is_not_listed_again() -> None:
    assert kit(Source(), listed=True).listed() == []


def test_calls_of_tools_that_nobody_has_are_the_guests_if_it_has_any() -> None:
    assert kit(Source()).is_ours("made_up")
    own = Request("m", ASKED.messages, tools=(Tool("own"),))
    mixed = kit(Source(), request=own)
    assert not mixed.is_ours("made_up") and not mixed.is_ours("own")
    assert mixed.is_ours("fs__read")
    assert mixed.label_of("made_up") == "modelplex"


def test_the_guests_own_tools_come_first() -> None:
    own = Request("m", ASKED.messages, tools=(Tool("own"),))
    request = kit(Source(names=("fs__read",)), request=own).added_to(own)
    assert [one.name for one in request.tools] == ["own", "fs__read"]
    assert request.tool_choice is None


def test_two_tools_of_one_name_are_refused() -> None:
    own = Request("m", ASKED.messages, tools=(Tool("fs__read"),))
    with pytest.raises(BadRequest, match="fs__read"):
        kit(Source(), request=own)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("read", ("fs__read",)),
        ("fs__read", ("fs__read",)),
        (None, ("fs__read", "fs__write")),
    ],
)
def test_a_forced_tool_is_forced(name: str | None, expected: tuple[str, ...]) -> None:
    found = kit(Source("a", "fs"), Source("b"), forced=("a", name))
    choice = found.added_to(ASKED).tool_choice
    assert choice == ToolChoice(Choose.REQUIRED, expected)


def test_a_forced_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match="tool_choice"):
        kit(Source("a", "fs"), forced=("a", "secret")).added_to(ASKED)


def test_a_guests_globs_do_not_displace_the_operators() -> None:
    before = _pattern.cache_info().currsize
    globs = tuple(f"no{n}*" for n in range(200))
    assert names(Source(names=(*globs, "fs__w?ite"))) == ["fs__write"]
    assert names(Source(without=(*globs, "[!d]*"))) == ["db__read"]
    assert _pattern.cache_info().currsize == before
