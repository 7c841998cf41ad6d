"""The servers together, and what each guest sees of them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from modelplex.guests.tools import ServerGrants, ToolPolicy
from modelplex.interfaces import IToolServerWatcher
from modelplex.mcp.guest_view import View
from modelplex.mcp.registry import AGAIN, LAGGING, Registry
from modelplex.mcp.view import Entry, Kind, Offers
from modelplex.testing.fakes.tool_server import FakeToolServer, tool
from modelplex.tools import Listing, ToolServerError


def policy(*servers: str, **more: Any) -> ToolPolicy:
    grants = more.pop("grants", {name: ServerGrants() for name in servers})
    return ToolPolicy("guest", servers=grants, **more)


def listing(*names: str, **more: Any) -> Listing:
    return Listing(tools=tuple(tool(name) for name in names), **more)


def house(*servers: FakeToolServer) -> tuple[Clock, Registry, View]:
    clock = Clock()
    registry = Registry(servers, clock)
    return clock, registry, registry.view(policy(*(s.name for s in servers)))


def settled(view: View) -> list[Offers]:
    found: list[Offers] = []
    Deferred.fromCoroutine(view.settled()).addCallback(found.append)
    return found


def test_it_watches_as_servers_expect() -> None:
    _, registry, _ = house()
    assert verifyObject(IToolServerWatcher, registry)


def test_tools_are_listed_in_the_order_of_the_config_and_then_of_each_server() -> None:
    _, _, view = house(
        FakeToolServer("b", listing("z", "a")), FakeToolServer("a", listing("m"))
    )
    assert list(view.offers.tools) == ["b__z", "b__a", "a__m"]


def test_one_server_alone_is_seen_under_its_own_names() -> None:
    _, registry, _ = house(
        FakeToolServer("a", listing("x.y")), FakeToolServer("b", listing("x"))
    )
    view = registry.view(policy("a", "b"), "a")
    assert list(view.offers.tools) == ["x.y"]
    with pytest.raises(KeyError):
        registry.view(policy("a"), "c")


def test_globs_of_a_guest_mean_the_same_in_the_view_of_one_server() -> None:
    _, registry, _ = house(FakeToolServer("a", listing("read", "write")))
    view = registry.view(policy("a", tools=("a__read",)), "a")
    assert list(view.offers.tools) == ["read"]


def test_what_is_denied_is_not_there() -> None:
    server = FakeToolServer(
        "a",
        Listing(
            tools=(tool("read"), tool("write")),
            prompts=({"name": "write"}, {"name": "ask"}),
            resources=({"uri": "x:1", "name": "one"},),
        ),
    )
    registry = Registry([server], Clock())
    grants = {"a": ServerGrants(deny=("write", "resources"))}
    offers = registry.view(policy(grants=grants)).offers
    assert list(offers.tools) == ["a__read"]
    assert list(offers.prompts) == ["a__ask"]
    assert offers.owner("x:1") is None


def test_a_tool_that_can_only_be_a_task_is_not_shown() -> None:
    task = tool("slow", execution={"taskSupport": "required"})
    _, _, view = house(FakeToolServer("a", Listing(tools=(task, tool("t")))))
    assert list(view.offers.tools) == ["a__t"]


def test_entries_that_are_no_entries_are_left_out() -> None:
    odd: Any = (None, {"name": 3}, {"name": ""}, {"name": "x" * 2000}, "x", tool("t"))
    listing = Listing(tools=odd, resources=odd, prompts=odd, templates=odd)
    _, _, view = house(FakeToolServer("a", listing))
    assert list(view.offers.tools) == list(view.offers.prompts) == ["a__t"]
    assert not view.offers.resources
    assert not view.offers.templates


def test_a_resource_that_two_have_is_the_first_ones() -> None:
    one = ({"uri": "x:1", "name": "one"},)
    _, _, view = house(
        FakeToolServer("a", Listing(resources=one)),
        FakeToolServer("b", Listing(resources=one)),
    )
    found = view.offers.owner("x:1")
    assert found is not None
    assert found.server.name == "a"


def test_a_uri_of_no_list_is_of_the_template_that_says_most() -> None:
    wide = ({"uriTemplate": "{+anything}", "name": "all"},)
    narrow = ({"uriTemplate": "x://{id}", "name": "x"},)
    _, _, view = house(
        FakeToolServer("a", Listing(templates=wide)),
        FakeToolServer("b", Listing(templates=narrow)),
    )
    owner = view.offers.owner
    assert [owner(uri).server.name for uri in ("x://1", "y:1")] == ["b", "a"]  # type: ignore[union-attr]
    assert owner("y:" + "1" * 2000) is None


def test_what_is_shown_may_be_altered_or_withheld() -> None:
    seen = []

    def shown(server: str, kind: Kind, entry: Entry) -> Entry | None:
        seen.append(kind)
        return None if entry["name"] == "new" else {**entry, "title": server}

    _, registry, _ = house(FakeToolServer("a", listing("new", "old")))
    offers = registry.view(policy("a"), shown=shown).offers
    assert [offer.shown["title"] for offer in offers.tools.values()] == ["a"]
    assert "title" not in offers.tools["a__old"].entry
    assert set(seen) == {Kind.TOOL}


def test_a_slow_server_delays_nobody_when_another_is_known() -> None:
    slow = FakeToolServer("slow", found=Deferred())
    _, registry, view = house(slow, FakeToolServer("a", listing("t")))
    [offers] = settled(view)
    assert list(offers.tools) == ["a__t"]
    assert slow.refreshed == 1
    Deferred.fromCoroutine(registry.stop())


def test_when_nothing_is_known_the_first_list_waits_for_all() -> None:
    one: Deferred[Listing] = Deferred()
    two: Deferred[Listing] = Deferred()
    clock, registry, view = house(
        FakeToolServer("a", found=one), FakeToolServer("b", found=two)
    )
    found = settled(view)
    one.callback(listing("t"))
    assert found == []
    two.callback(listing("u"))
    [offers] = found
    assert list(offers.tools) == ["a__t", "b__u"]
    clock.advance(registry.quiet)
    assert clock.getDelayedCalls() == []


def test_when_anything_is_known_the_slow_have_a_moment_only() -> None:
    quick: Deferred[Listing] = Deferred()
    slow = FakeToolServer("b", found=Deferred())
    clock, registry, view = house(FakeToolServer("a", found=quick), slow)
    found = settled(view)
    clock.advance(3)
    quick.callback(listing("t"))
    clock.advance(LAGGING - 0.1)
    assert found == []
    clock.advance(0.1)
    assert [list(offers.tools) for offers in found] == [["a__t"]]
    Deferred.fromCoroutine(registry.stop())
    assert clock.getDelayedCalls() == []


def test_a_server_that_never_answers_is_waited_for_once_and_not_long() -> None:
    slow = FakeToolServer("a", found=Deferred())
    clock, registry, view = house(slow)
    found = settled(view)
    clock.advance(registry.patience - 0.1)
    assert found == []
    clock.advance(0.1)
    assert [list(offers.tools) for offers in found] == [[]]
    assert slow.refreshed == 1
    Deferred.fromCoroutine(registry.stop())
    assert clock.getDelayedCalls() == []


def test_a_server_that_is_down_hurts_nobody_and_is_asked_again_later() -> None:
    down = FakeToolServer("a", found=ToolServerError("a: it does not start"))
    clock, _, view = house(down, FakeToolServer("b"))
    assert len(settled(view)) == len(settled(view)) == 1
    assert down.refreshed == 1
    clock.advance(AGAIN)
    assert len(settled(view)) == 1
    assert down.refreshed == 2


def test_without_servers_nobody_waits() -> None:
    _, _, view = house()
    assert [list(offers.tools) for offers in settled(view)] == [[]]
    assert view.offers.capabilities() == {"tools": {"listChanged": True}}


def test_what_is_offered_is_noted_before_anybody_sees_it() -> None:
    server = FakeToolServer("a", listing("old"))
    noted: list[Listing] = []
    registry = Registry([server], Clock(), lambda one: noted.append(one.listing))
    view = registry.view(
        policy("a"), shown=lambda name, kind, e: e if server.listing in noted else None
    )
    assert list(view.offers.tools) == ["a__old"]
    server.offer(tool("new"))
    assert list(view.offers.tools) == ["a__new"]


def test_a_guest_that_goes_while_it_waits_leaves_nothing() -> None:
    clock, registry, view = house(FakeToolServer("a", found=Deferred()))
    waiting = Deferred.fromCoroutine(view.settled())
    waiting.addErrback(lambda reason: None)
    waiting.cancel()
    assert clock.getDelayedCalls() == []
    Deferred.fromCoroutine(registry.stop())


def test_changes_are_told_once_after_a_moment() -> None:
    server = FakeToolServer("a", listing("t"))
    clock, registry, view = house(server)
    told: list[frozenset[str]] = []
    view.watch(told.append)
    for number in range(50):
        server.offer(tool(f"t{number}"))
        clock.advance(registry.quiet / 100)
    assert told == []
    clock.advance(registry.quiet)
    assert told == [frozenset({"tools"})]


def test_a_flood_of_list_changed_is_told_of_once_in_a_while_and_not_put_off() -> None:
    server = FakeToolServer("a")
    clock, registry, view = house(server)
    told: list[frozenset[str]] = []
    view.watch(told.append)
    for number in range(1000):
        server.offer(tool(f"t{number}"))
        clock.advance(registry.quiet / 10)
    assert 80 <= len(told) <= 100


def test_a_change_of_what_a_guest_may_not_see_is_not_told() -> None:
    server = FakeToolServer("a", listing("read", "write"))
    clock, registry, _ = house(server)
    view = registry.view(policy("a", tools=("a__read",)))
    told: list[frozenset[str]] = []
    view.watch(told.append)
    server.offer(tool("read"), tool("write", title="new"))
    clock.advance(1)
    assert told == []


def test_a_change_that_was_seen_and_undone_is_told() -> None:
    server = FakeToolServer("a", listing("t"))
    clock, _, view = house(server)
    told: list[frozenset[str]] = []
    view.watch(told.append)
    server.offer(tool("u"))
    assert list(view.offers.tools) == ["a__u"]
    server.offer(tool("t"))
    clock.advance(1)
    assert told == [frozenset({"tools"})]


def test_whoever_stops_watching_hears_nothing_more() -> None:
    server = FakeToolServer("a", listing("t"))
    clock, registry, view = house(server)
    told: list[frozenset[str]] = []
    end = view.watch(told.append)
    server.offer(tool("u"))
    end()
    end()
    clock.advance(1)
    registry.forget(view)
    assert told == []


def test_what_was_accepted_is_told_when_the_operator_says_so() -> None:
    hidden = {"t"}
    clock, registry, _ = house(FakeToolServer("a", listing("t")))
    view = registry.view(
        policy("a"), shown=lambda server, kind, e: None if e["name"] in hidden else e
    )
    told: list[frozenset[str]] = []
    view.watch(told.append)
    hidden.clear()
    registry.reconsider()
    clock.advance(1)
    assert told == [frozenset({"tools"})]


def test_after_its_end_nothing_is_told_and_nobody_is_asked() -> None:
    server = FakeToolServer("a")
    clock, registry, view = house(server)
    told: list[frozenset[str]] = []
    view.watch(told.append)
    server.offer(tool("t"))
    Deferred.fromCoroutine(registry.stop())
    server.offer(tool("u"))
    server.touch("x:1")
    clock.advance(1)
    assert told == []
    settled(view)
    assert server.refreshed == 0


def test_capabilities_are_those_of_the_servers_that_a_guest_may_use() -> None:
    rich = Listing(
        tools=(tool("t"),),
        capabilities={"logging": {}, "prompts": {}, "resources": {"subscribe": True}},
    )
    _, registry, view = house(
        FakeToolServer("a", listing("t")), FakeToolServer("b", rich)
    )
    assert view.offers.capabilities() == {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "logging": {},
    }
    poor = registry.view(policy("a", "b", tools=("a__*",)))
    assert poor.offers.capabilities() == {"tools": {"listChanged": True}}


def test_advice_is_bounded_and_says_whose_it_is() -> None:
    _, registry, view = house(
        FakeToolServer("a", listing("t", instructions="Be nice.")),
        FakeToolServer("b", listing("t")),
        FakeToolServer("c", listing("t", instructions="x" * 10_000)),
    )
    told = view.offers.instructions(lambda text: text)
    assert told.startswith("## a\nBe nice.\n\n## c\nxxx")
    assert len(told) < 5000
    alone = registry.view(policy("a"), "a").offers
    assert alone.instructions(str.upper) == "BE NICE."
