"""The registry, its views and calls against a model, whatever servers do."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from modelplex.guests.tools import ServerGrants, ToolPolicy
from modelplex.mcp.calls import CallRules, Calls, Made
from modelplex.mcp.guest_view import View
from modelplex.mcp.limits import Limit, Limits
from modelplex.mcp.registry import Registry
from modelplex.testing.fakes.tool_server import FakeToolServer, text, tool
from modelplex.tools import Caller, Listing, Silent, ToolServerError
from modelplex.wire.jsonrpc import Params, RpcError

SERVERS = ("a", "b", "c")
TOOLS = ("read", "write", "x.y", "x_y", "b__read")
#: What each guest may use: globs over exposed names.
GUESTS = {"all": ("*",), "readers": ("*__read", "*__read_*"), "none": ()}
QUIET = 0.2

Call = tuple[str, str, int, Deferred[Any]]


class Registered(RuleBasedStateMachine):
    """Servers change, crash, answer and are silent; guests list, call and go."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.servers = {name: FakeToolServer(name, Listing()) for name in SERVERS}
        for server in self.servers.values():
            server.set("tools/call", self.act(server.name))
        self.registry = Registry(list(self.servers.values()), self.clock, quiet=QUIET)
        self.views = {guest: self.view(guest, globs) for guest, globs in GUESTS.items()}
        self.told: dict[str, list[frozenset[str]]] = {guest: [] for guest in GUESTS}
        self.seen = {guest: self.lists(guest) for guest in GUESTS}
        for guest, view in self.views.items():
            view.watch(self.told[guest].append)
        limits = Limits(lambda server, name: Limit(), self.clock)
        self.made: list[Made] = []
        self.caller = Calls(CallRules(record=self.record), limits, self.clock)
        self.waiting: dict[int, tuple[str, Deferred[Any]]] = {}
        self.ended: dict[int, Any] = {}
        self.count = 0
        self.recorded = 0

    def record(self, made: Made) -> str:
        self.made.append(made)
        return ""

    def view(self, guest: str, globs: tuple[str, ...]) -> View:
        grants = {name: ServerGrants() for name in SERVERS}
        return self.registry.view(ToolPolicy(guest, tools=globs, servers=grants))

    def act(self, name: str) -> Any:
        async def act(params: Params, caller: Caller) -> Any:
            answer: Deferred[Any] = Deferred()
            self.waiting[params["arguments"]["number"]] = name, answer
            return await answer

        return act

    def lists(self, guest: str) -> list[Any]:
        return [(n, o.shown) for n, o in self.views[guest].offers.tools.items()]

    @rule(
        name=st.sampled_from(SERVERS),
        tools=st.lists(st.sampled_from(TOOLS), max_size=4),
        title=st.sampled_from(["old", "new"]),
        times=st.integers(1, 5),
    )
    def change(self, name: str, tools: list[str], title: str, times: int) -> None:
        for _ in range(times):
            self.servers[name].offer(*(tool(one, title=title) for one in tools))

    @rule(name=st.sampled_from(SERVERS))
    def say_that_it_changed_when_it_did_not(self, name: str) -> None:
        self.servers[name].change(self.servers[name].listing)

    @rule()
    def be_quiet(self) -> None:
        self.clock.advance(QUIET)
        for guest in GUESTS:
            told, now = self.told[guest], self.lists(guest)
            assert len(told) <= 1
            if now != self.seen[guest]:
                assert told == [frozenset({"tools"})], guest
            self.seen[guest] = now
            told.clear()

    @rule(
        target=calls,
        guest=st.sampled_from(list(GUESTS)),
        name=st.sampled_from(SERVERS),
        called=st.sampled_from(TOOLS),
    )
    def call(self, guest: str, name: str, called: str) -> Call:
        self.count += 1
        number, exposed = self.count, f"{name}__{called}"
        offer = self.views[guest].offers.tools.get(exposed)
        work = Deferred.fromCoroutine(
            self.caller.call(
                self.views[guest], exposed, {"number": number}, Silent(guest)
            )
        )
        work.addBoth(lambda result: self.ended.__setitem__(number, result))
        if offer is None:
            assert self.ended[number].check(RpcError)
            assert number not in self.waiting
        else:
            assert self.waiting[number][0] == offer.server.name
        return guest, exposed, number, work

    @rule(call=consumes(calls))
    def answer(self, call: Call) -> None:
        _, _, number, _ = call
        if number in self.waiting:
            _, answer = self.waiting.pop(number)
            answer.callback(text(f"answer {number}"))
            assert self.ended[number]["content"][0]["text"] == f"answer {number}"

    @rule(call=consumes(calls))
    def cancel(self, call: Call) -> None:
        _, _, number, work = call
        if number in self.waiting:
            name, _ = self.waiting.pop(number)
            before = len(self.servers[name].cancelled)
            work.cancel()
            assert self.ended[number].check(CancelledError)
            assert len(self.servers[name].cancelled) == before + 1

    @rule(name=st.sampled_from(SERVERS))
    def crash(self, name: str) -> None:
        for number, (server, answer) in list(self.waiting.items()):
            if server == name:
                del self.waiting[number]
                answer.errback(ToolServerError(f"{name}: it has ended"))
                assert self.ended[number]["isError"] is True

    @invariant()
    def nobody_gets_what_was_not_meant_for_them(self) -> None:
        assert not self.waiting.keys() & self.ended.keys()
        for server in self.servers.values():
            mine = [
                number for number, (n, _) in self.waiting.items() if n == server.name
            ]
            assert server.running == len(mine)

    @invariant()
    def every_call_that_ended_is_recorded_once(self) -> None:
        assert len(self.made) == len(self.ended)

    @invariant()
    def guests_see_what_is_there_and_may_be_seen(self) -> None:
        everything = {
            (server.name, entry["name"])
            for server in self.servers.values()
            for entry in server.listing.tools
        }
        shown = {
            (offer.server.name, offer.name)
            for offer in self.views["all"].offers.tools.values()
        }
        assert shown == everything
        assert not self.views["none"].offers.tools
        for exposed in self.views["readers"].offers.tools:
            assert "__read" in exposed

    def teardown(self) -> None:
        Deferred.fromCoroutine(self.registry.stop())
        for _, answer in list(self.waiting.values()):
            answer.callback(text("late"))
        assert self.clock.getDelayedCalls() == []


Registered.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
test_registry_is_as_its_model = Registered.TestCase
