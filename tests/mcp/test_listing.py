"""All that a server offers, whatever its pages are like."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from modelplex.mcp.handshake import Opened
from modelplex.mcp.listing import ENTRIES, PAGES, SIZE, entries, everything
from modelplex.tools import Listing
from modelplex.wire.jsonrpc import Params, Result, RpcError

EVERYTHING = Opened("2025-11-25", {"tools": {}, "resources": {}, "prompts": {}}, "kind")


class Pages:
    """A server that answers with `pages`, by cursor."""

    def __init__(self, pages: dict[Any, Any]) -> None:
        self.pages = pages
        self.asked: list[Any] = []

    async def ask(self, method: str, params: Params) -> Result:
        self.asked.append(params.get("cursor"))
        return self.pages[params.get("cursor")]


def all_of(ask: Any) -> list[str]:
    found: list[Any] = []
    listed = Deferred.fromCoroutine(entries(ask, "tools/list", "tools", "name"))
    listed.addCallback(found.extend)
    return [entry["name"] for entry in found]


def page(*names: Any, cursor: Any = None) -> dict[str, Any]:
    told: dict[str, Any] = {"tools": [{"name": name} for name in names]}
    return told if cursor is None else {**told, "nextCursor": cursor}


def test_an_empty_cursor_is_one_and_its_absence_is_the_end() -> None:
    server = Pages({None: page("a", cursor=""), "": page("b", cursor="x"), "x": page()})
    assert all_of(server.ask) == ["a", "b"]
    assert server.asked == [None, "", "x"]


def test_pages_that_go_round_end() -> None:
    server = Pages({None: page("a", cursor="1"), "1": page("b", cursor="1")})
    assert all_of(server.ask) == ["a", "b"]
    assert len(server.asked) == 2


def test_pages_without_an_end_end() -> None:
    asked = []

    async def ask(method: str, params: Params) -> Result:
        asked.append(params)
        return page(f"t{len(asked)}", cursor=str(len(asked)))

    assert len(all_of(ask)) == PAGES


def test_a_page_without_an_end_ends() -> None:
    server = Pages({None: page(*map(str, range(ENTRIES + 5)))})
    assert len(all_of(server.ask)) == ENTRIES


def test_pages_that_would_fill_our_memory_are_left_out() -> None:
    half = "x" * (SIZE // 2 - 99)
    server = Pages(
        {
            None: page("a" + half, cursor="1"),
            "1": page("b" + half, cursor="2"),
            "2": page("c" * 999, cursor="3"),
        }
    )
    assert [name[0] for name in all_of(server.ask)] == ["a", "b"]


def test_the_first_of_several_with_one_name_counts() -> None:
    tools = [{"name": "a", "n": 1}, {"name": "a", "n": 2}, {"name": ""}, {}, None, 3]
    found: list[Any] = []
    server = Pages({None: {"tools": tools}})
    listed = Deferred.fromCoroutine(entries(server.ask, "m", "tools", "name"))
    listed.addCallback(found.extend)
    assert found == [{"name": "a", "n": 1}]


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_any_page_is_some_entries(told: Any) -> None:
    server = Pages({None: {"tools": told, "nextCursor": 3}})
    assert all_of(server.ask) == []


def listed(ask: Any, opened: Opened, before: Listing) -> Listing:
    found: list[Listing] = []
    told = everything("fake", ask, opened, before, Logger())
    Deferred.fromCoroutine(told).addCallback(found.append)
    return found[0]


def test_only_what_is_declared_is_asked_for() -> None:
    asked: list[str] = []

    async def ask(method: str, params: Params) -> Result:
        asked.append(method)
        return {"tools": [{"name": "a"}], "resources": [{"uri": "b:c", "name": "b"}]}

    opened = Opened("2025-11-25", {"tools": {}, "prompts": None})
    assert listed(ask, opened, Listing()).tools == ({"name": "a"},)
    assert asked == ["tools/list"]
    found = listed(ask, EVERYTHING, Listing())
    assert found.resources == ({"uri": "b:c", "name": "b"},)
    assert (found.capabilities, found.instructions) == (EVERYTHING.capabilities, "kind")


def test_a_list_that_fails_is_as_it_was_and_takes_no_other_away() -> None:
    async def ask(method: str, params: Params) -> Result:
        if method == "prompts/list":
            raise RpcError(-32603, "broken")
        if method == "resources/templates/list":
            raise RpcError(-32601, "no such method")
        return {"tools": [{"name": "a"}], "resources": []}

    before = Listing(
        prompts=({"name": "p"},), templates=({"uriTemplate": "t"},), tools=()
    )
    found = listed(ask, EVERYTHING, before)
    assert (found.tools, found.prompts) == (({"name": "a"},), ({"name": "p"},))
    assert found.templates == ()
