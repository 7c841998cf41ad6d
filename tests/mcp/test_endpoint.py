"""MCP's methods for one guest, in every revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from modelplex.guests.tools import ServerGrants, ToolPolicy
from modelplex.mcp.calls import CallRules, Calls
from modelplex.mcp.endpoint import Endpoint
from modelplex.mcp.limits import Limit, Limits
from modelplex.mcp.parking import Parking
from modelplex.mcp.registry import Registry
from modelplex.testing.fakes.tool_server import (
    FakeToolServer,
    answers,
    asks,
    fails,
    text,
    tool,
)
from modelplex.tools import Listing, Question, Silent, ToolServerError
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Note,
    RpcError,
)
from modelplex.wire.mcp.envelope import LEVELS, SERVER, Envelope
from modelplex.wire.mcp.revisions import LEGACY, MODERN
from modelplex.wire.mcp.shapes import RESOURCE_NOT_FOUND

NOW, OLD = MODERN[0], LEGACY[-1]
STAMP = {"name": "modelplex", "version": "1"}
YES = {"action": "accept", "content": {}}
ASK = Question("elicitation/create", {"message": "?", "requestedSchema": {}})
ALL = Listing(
    tools=(tool("echo"), tool("sum", outputSchema={"type": "array"})),
    prompts=({"name": "greet", "arguments": [{"name": "who"}]},),
    resources=({"uri": "x:1", "name": "one"},),
    templates=({"uriTemplate": "t:{id}", "name": "t"},),
    capabilities={"resources": {"subscribe": True}, "completions": {}},
    instructions="Be nice.",
)


@define
class Desk:
    """One guest's endpoint on top of servers that a test controls."""

    server: FakeToolServer = field(factory=lambda: FakeToolServer("a", ALL))
    others: tuple[FakeToolServer, ...] = ()
    alone: bool = False
    clock: Clock = field(factory=Clock)
    registry: Registry = field(init=False)
    parking: Parking = field(init=False)
    endpoint: Endpoint = field(init=False)

    def __attrs_post_init__(self) -> None:
        servers = (self.server, *self.others)
        self.registry = Registry(servers, self.clock)
        policy = ToolPolicy("guest", servers={s.name: ServerGrants() for s in servers})
        limits = Limits(lambda server, name: Limit(), self.clock)
        self.parking = Parking(self.clock, b"k" * 32, gather=0)
        self.endpoint = Endpoint(
            self.registry.view(policy, self.server.name if self.alone else None),
            Calls(CallRules(), limits, self.clock),
            self.parking,
            STAMP,
        )

    def start(self, method: str, version: str, **params: Any) -> Deferred[Any]:
        caller = Silent("guest")
        caller.capabilities = params.pop("_capabilities", {})
        request = self.endpoint.request(method, params, caller, version)
        return Deferred.fromCoroutine(request)

    def ask(self, method: str, version: str = NOW, **params: Any) -> Any:
        found: list[Any] = []
        self.start(method, version, **params).addBoth(found.append)
        assert found, "it waits"
        if hasattr(found[0], "raiseException"):
            found[0].raiseException()
        return found[0]

    def refused(self, method: str, version: str = NOW, **params: Any) -> int:
        with pytest.raises(RpcError) as caught:
            self.ask(method, version, **params)
        return caught.value.rpc_code


def test_initialize_agrees_on_a_revision_and_says_what_there_is() -> None:
    desk = Desk()
    assert desk.endpoint.initialize({"protocolVersion": "2025-06-18"}) == {
        "protocolVersion": "2025-06-18",
        "serverInfo": STAMP,
        "capabilities": {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "resources": {"listChanged": True, "subscribe": True},
            "completions": {},
        },
        "instructions": "Be nice.",
    }
    for asked in (NOW, "2099-01-01", "x"):
        answer = desk.endpoint.initialize({"protocolVersion": asked})
        assert answer["protocolVersion"] == OLD
    with pytest.raises(RpcError):
        desk.endpoint.initialize({})


def test_initialize_waits_for_no_server_and_starts_them_all() -> None:
    servers = [FakeToolServer(name, found=Deferred()) for name in "ab"]
    desk = Desk(servers[0], (servers[1],))
    answer = desk.endpoint.initialize({"protocolVersion": OLD})
    assert set(answer["capabilities"]) == {
        *("tools", "prompts", "resources", "completions", "logging")
    }
    assert [server.refreshed for server in servers] == [1, 1]
    Deferred.fromCoroutine(desk.registry.stop())


def test_discover_is_the_modern_eras() -> None:
    desk = Desk()
    found = desk.ask("server/discover")
    assert found["supportedVersions"] == [NOW]
    assert found["instructions"] == "Be nice."
    assert (found["resultType"], found["ttlMs"]) == ("complete", 0)
    assert found["_meta"] == {SERVER: STAMP}
    assert desk.refused("server/discover", OLD) == METHOD_NOT_FOUND


def test_lists_have_names_that_lead_to_their_servers() -> None:
    desk = Desk(others=(FakeToolServer("b", ALL),))
    names = [one["name"] for one in desk.ask("tools/list")["tools"]]
    assert names == ["a__echo", "a__sum", "b__echo", "b__sum"]
    [one, other] = desk.ask("prompts/list")["prompts"]
    assert (one["name"], other["name"]) == ("a__greet", "b__greet")
    desk.ask("tools/call", name="b__echo", arguments={"x": 1})
    assert desk.others[0].asked[0].params == {"name": "echo", "arguments": {"x": 1}}
    assert [one["uri"] for one in desk.ask("resources/list")["resources"]] == ["x:1"]
    [template] = desk.ask("resources/templates/list")["resourceTemplates"]
    assert template == {"uriTemplate": "t:{id}", "name": "t"}


def test_the_view_of_one_server_has_its_own_names() -> None:
    desk = Desk(alone=True)
    assert [one["name"] for one in desk.ask("tools/list")["tools"]] == ["echo", "sum"]
    assert "echo" in str(desk.ask("tools/call", name="echo"))
    desk.ask("prompts/get", name="greet", arguments={"who": "x"})
    assert desk.server.asked[-1].params == {"name": "greet", "arguments": {"who": "x"}}


def test_there_is_one_page() -> None:
    for method in ("tools/list", "prompts/list", "resources/list"):
        assert Desk().refused(method, cursor="x") == INVALID_PARAMS
        assert Desk().refused(method, OLD, cursor="") == INVALID_PARAMS


@pytest.mark.parametrize("version", [*LEGACY, NOW])
def test_every_revision_gets_its_own_form(version: str) -> None:
    desk = Desk()
    result = {"content": [], "structuredContent": [1], "resultType": "complete"}
    desk.server.set("tools/call", answers(result))
    listed = desk.ask("tools/list", version)
    called = desk.ask("tools/call", version, name="a__sum")
    schema = listed["tools"][1].get("outputSchema")
    if version == NOW:
        assert (schema, called["structuredContent"]) == ({"type": "array"}, [1])
        assert called["_meta"][SERVER] == STAMP
        assert (listed["ttlMs"], listed["cacheScope"]) == (0, "private")
    elif version >= "2025-06-18":
        assert schema["properties"] == {"result": {"type": "array"}}
        assert called["structuredContent"] == {"result": [1]}
        assert listed.keys() == {"tools"}
    else:
        assert schema is None
        assert called == {"content": [{"type": "text", "text": "[1]"}]}


def test_what_an_era_has_not_does_not_exist() -> None:
    desk = Desk()
    gone = (
        *("initialize", "ping", "logging/setLevel", "resources/subscribe"),
        *("resources/unsubscribe", "tasks/list", "tasks/result", "nonsense", ""),
    )
    for method in gone:
        assert desk.refused(method, NOW, level="info", uri="x:1") == METHOD_NOT_FOUND
    for method in ("server/discover", "tasks/get", "subscriptions/listen", "nonsense"):
        assert desk.refused(method, OLD) == METHOD_NOT_FOUND
    assert desk.server.asked == []


def test_a_legacy_client_may_ping_and_set_a_level() -> None:
    desk = Desk()
    assert desk.ask("ping", OLD) == {}
    for level in LEVELS:
        assert desk.ask("logging/setLevel", OLD, level=level) == {}
    assert desk.refused("logging/setLevel", OLD, level="loud") == INVALID_PARAMS


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": 3}),
        ("tools/call", {"name": "a__echo", "arguments": []}),
        ("tools/call", {"name": "nobody"}),
        ("prompts/get", {"name": "nobody"}),
        ("resources/read", {"uri": ["x:1"]}),
        ("resources/read", {"uri": "nobody:1"}),
        ("completion/complete", {"ref": "x", "argument": {}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a__greet"}}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "w"}},
        ),
    ],
)
def test_params_of_the_wrong_kind_are_refused(
    method: str, params: Mapping[str, Any]
) -> None:
    desk = Desk()
    assert desk.refused(method, NOW, **params) == INVALID_PARAMS
    assert desk.server.asked == []


def test_a_resource_that_does_not_exist_has_the_eras_code() -> None:
    desk = Desk()
    assert desk.refused("resources/read", OLD, uri="n:1") == RESOURCE_NOT_FOUND
    desk.server.set("resources/read", fails(RpcError(RESOURCE_NOT_FOUND, "none")))
    assert desk.refused("resources/read", NOW, uri="t:1") == INVALID_PARAMS
    desk.server.speak(NOW)
    desk.server.set("resources/read", fails(RpcError(INVALID_PARAMS, "none")))
    assert desk.refused("resources/read", OLD, uri="t:1") == RESOURCE_NOT_FOUND
    desk.server.set("resources/read", answers({"contents": []}))
    assert desk.refused("resources/read", NOW, uri="t:1") == INVALID_PARAMS


def test_a_server_that_is_down_is_an_error_except_for_tools() -> None:
    desk = Desk()
    for method in ("tools/call", "prompts/get", "resources/read"):
        desk.server.set(method, fails(ToolServerError("a: it has ended")))
    for version in (OLD, NOW):
        called = desk.ask("tools/call", version, name="a__echo")
        assert called["isError"] is True
        assert called["content"] == [{"type": "text", "text": "a: it has ended"}]
        assert desk.refused("prompts/get", version, name="a__greet") == INTERNAL_ERROR
        assert desk.refused("resources/read", version, uri="x:1") == INTERNAL_ERROR


def test_a_completion_is_about_what_its_server_calls_so() -> None:
    desk = Desk()
    argument = {"name": "who", "value": "x"}
    ref = {"type": "ref/prompt", "name": "a__greet"}
    context = {"arguments": {"a": "b"}}
    for version in (OLD, NOW):
        found = desk.ask(
            "completion/complete", version, ref=ref, argument=argument, context=context
        )
        assert found["completion"] == {"values": ["one", "two"]}
    assert desk.server.asked[0].params == {
        "ref": {"type": "ref/prompt", "name": "greet"},
        "argument": argument,
        "context": context,
    }
    desk.ask(
        "completion/complete",
        ref={"type": "ref/resource", "uri": "t:{id}"},
        argument=argument,
    )
    assert desk.server.asked[-1].params["ref"]["uri"] == "t:{id}"


def test_a_completion_is_bounded_and_empty_where_a_server_has_none() -> None:
    desk = Desk()
    params: dict[str, Any] = {
        "ref": {"type": "ref/prompt", "name": "a__greet"},
        "argument": {"name": "who", "value": ""},
    }
    many = {"completion": {"values": list(map(str, range(500))), "total": 500}}
    desk.server.set("completion/complete", answers(many))
    completion = desk.ask("completion/complete", **params)["completion"]
    assert (len(completion["values"]), completion["total"]) == (100, 500)
    desk.server.set("completion/complete", fails(RpcError(METHOD_NOT_FOUND, "no")))
    assert desk.ask("completion/complete", **params)["completion"] == {"values": []}
    desk.server.set("completion/complete", answers({"completion": 3}))
    assert desk.refused("completion/complete", **params) == INTERNAL_ERROR


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "a__echo"}),
        ("prompts/get", {"name": "a__greet"}),
        ("resources/read", {"uri": "x:1"}),
    ],
)
def test_a_question_parks_the_request_of_a_modern_client(
    method: str, params: dict[str, Any]
) -> None:
    desk = Desk()

    async def act(params: Any, caller: Any) -> Any:
        await caller.ask({"who": ASK})
        return {**text("done"), "messages": [], "contents": [{"uri": "x:1"}]}

    desk.server.set(method, act)
    params = {**params, "_capabilities": {"elicitation": {}}}
    asked = desk.ask(method, **params)
    assert asked["resultType"] == "input_required"
    assert asked["_meta"] == {SERVER: STAMP}
    params |= {"requestState": asked["requestState"], "inputResponses": {"who": YES}}
    assert desk.ask(method, **params)["resultType"] == "complete"
    assert desk.server.methods() == [method]


def test_a_completion_is_not_parked() -> None:
    desk = Desk()
    desk.server.set("completion/complete", asks({"who": ASK}))
    code = desk.refused(
        "completion/complete",
        ref={"type": "ref/prompt", "name": "a__greet"},
        argument={"name": "who", "value": ""},
        _capabilities={"elicitation": {}},
    )
    assert code == -32021
    assert len(desk.parking) == 0


def test_a_client_that_cannot_be_asked_is_told_what_it_lacks() -> None:
    desk = Desk()
    desk.server.set("tools/call", asks({"who": ASK}))
    with pytest.raises(RpcError) as caught:
        desk.ask("tools/call", name="a__echo")
    assert caught.value.rpc_code == -32021
    assert caught.value.data == {"requiredCapabilities": {"elicitation": {}}}


def test_pages_to_visit_are_a_question_to_a_modern_client() -> None:
    desk = Desk()
    page = {"mode": "url", "elicitationId": "1", "url": "https://x/y", "message": "Go"}
    error = RpcError(-32042, "first", {"elicitations": [page]})
    desk.server.set("tools/call", fails(error))
    capable: dict[str, Any] = {"elicitation": {"url": {}}}
    asked = desk.ask("tools/call", name="a__echo", _capabilities=capable)
    assert asked["inputRequests"] == {
        "page-1": {
            "method": "elicitation/create",
            "params": {"mode": "url", "url": "https://x/y", "message": "Go"},
        }
    }
    assert desk.refused("tools/call", name="a__echo") == -32021
    assert desk.refused("tools/call", OLD, name="a__echo") == -32042
    assert desk.refused("tools/call", "2025-03-26", name="a__echo") == INTERNAL_ERROR
    odd = RpcError(-32042, "first", {"elicitations": [{"url": 3}]})
    desk.server.set("tools/call", fails(odd))
    assert desk.refused("tools/call", name="a__echo") == INTERNAL_ERROR


def notes() -> tuple[list[tuple[str, Any]], Any]:
    heard: list[tuple[str, Any]] = []

    def tell(note: Note) -> None:
        heard.append((note.method, dict(note.params)))

    return heard, tell


def do(work: Any) -> list[Any]:
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    return found


MISSING = RpcError(RESOURCE_NOT_FOUND, "none")
UPDATED = "notifications/resources/updated"


def test_a_legacy_client_hears_of_lists_and_of_what_it_subscribed_to() -> None:
    desk = Desk()
    heard, tell = notes()
    changes = desk.endpoint.watch(tell)
    assert do(changes.subscribe("x:1", MISSING)) == [None]
    do(changes.subscribe("x:1", MISSING))
    [refusal] = do(changes.subscribe("n:1", MISSING))
    assert refusal.value is MISSING
    desk.server.offer(tool("other"))
    desk.server.touch("x:1")
    desk.server.touch("x:2")
    desk.clock.advance(1)
    assert heard == [
        ("notifications/tools/list_changed", {}),
        (UPDATED, {"uri": "x:1"}),
    ]
    do(changes.unsubscribe("x:1"))
    do(changes.unsubscribe("x:1"))
    desk.server.touch("x:1")
    desk.clock.advance(1)
    assert len(heard) == 2
    assert desk.server.methods() == ["resources/subscribe", "resources/unsubscribe"]


def test_a_modern_client_hears_what_it_asked_for_and_nothing_else() -> None:
    desk = Desk()
    heard, tell = notes()
    wanted = {
        "promptsListChanged": True,
        "toolsListChanged": False,
        "resourceSubscriptions": ["x:1", "n:1", "x:1"],
        "unknown": True,
    }
    changes = desk.endpoint.listen(Envelope(NOW), {"notifications": wanted}, tell)
    assert changes.honoured == {
        "promptsListChanged": True,
        "resourceSubscriptions": ["x:1"],
    }
    desk.server.change(Listing(resources=ALL.resources, capabilities=ALL.capabilities))
    desk.server.touch("x:1")
    desk.clock.advance(1)
    assert heard == [
        ("notifications/prompts/list_changed", {}),
        (UPDATED, {"uri": "x:1"}),
    ]
    changes.stop()
    changes.stop()
    assert desk.server.methods() == ["resources/subscribe", "resources/unsubscribe"]
    desk.server.change(ALL)
    desk.clock.advance(1)
    assert len(heard) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        *(None, [], "x", {"toolsListChanged": 1}, {"resourceSubscriptions": "x:1"}),
        *({"resourceSubscriptions": [1]}, {"resourceSubscriptions": ["x:1"] * 1001}),
    ],
)
def test_a_filter_of_the_wrong_shape_is_refused(wanted: Any) -> None:
    with pytest.raises(RpcError) as caught:
        Desk().endpoint.listen(Envelope(NOW), {"notifications": wanted}, print)
    assert caught.value.rpc_code == INVALID_PARAMS


def test_a_server_that_cannot_be_subscribed_to_spoils_nothing() -> None:
    desk = Desk()
    heard, tell = notes()
    desk.server.set("resources/subscribe", fails(ToolServerError("a: it is down")))
    wanted = {"resourceSubscriptions": ["x:1"], "toolsListChanged": True}
    changes = desk.endpoint.listen(Envelope(NOW), {"notifications": wanted}, tell)
    desk.server.offer()
    desk.clock.advance(1)
    assert heard == [("notifications/tools/list_changed", {})]
    changes.stop()
    legacy = desk.endpoint.watch(tell)
    [failure] = do(legacy.subscribe("x:1", MISSING))
    assert failure.check(ToolServerError)
    assert len(desk.registry.subscriptions) == 0


def test_a_client_that_stops_while_it_subscribes_is_forgotten() -> None:
    desk = Desk()
    answer: Deferred[Any] = Deferred()

    async def act(params: Any, caller: Any) -> Any:
        return await answer

    desk.server.set("resources/subscribe", act)
    changes = desk.endpoint.watch(print)
    do(changes.subscribe("x:1", MISSING))
    changes.stop()
    answer.callback({})
    assert desk.server.methods() == ["resources/subscribe", "resources/unsubscribe"]
    assert len(desk.registry.subscriptions) == 0


def test_a_resource_that_was_taken_away_is_not_told_of() -> None:
    desk = Desk()
    heard, tell = notes()
    changes = desk.endpoint.watch(tell)
    do(changes.subscribe("x:1", MISSING))
    desk.server.change(Listing())
    desk.clock.advance(1)
    heard.clear()
    desk.server.touch("x:1")
    desk.clock.advance(1)
    assert heard == []
