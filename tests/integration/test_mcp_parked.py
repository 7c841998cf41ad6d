"""Clients that are asked by their next request, and a legacy server that asks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from attrs import define, field

from modelplex.wire.jsonrpc import RpcError

if TYPE_CHECKING:  # their imports must wait until the reactor is chosen
    from modelplex.mcp.endpoint import Endpoint
    from modelplex.mcp.parking import Parking
    from modelplex.mcp.registry import Registry
    from modelplex.testing.fakes.child import Children

FIXTURE = "modelplex.testing.fakes.mcp_fixture"
VERSION = "2026-07-28"
ELICIT = "test_input_required_result_elicitation"
SEVERAL = "test_input_required_result_multiple_inputs"
NAME = {"action": "accept", "content": {"name": "Ann"}}
ROOT = {"roots": [{"uri": "file:///w"}]}
SAID = {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"}


@define(eq=False)
class House:
    """One server of the conformance suite, which asks a lot, and its guests."""

    _children: Children
    registry: Registry = field(init=False)
    parking: Parking = field(init=False)

    def __attrs_post_init__(self) -> None:
        from twisted.internet import reactor

        from modelplex.mcp.child_settings import ChildSettings
        from modelplex.mcp.parking import Parking
        from modelplex.mcp.registry import Registry

        clock: Any = reactor
        settings = ChildSettings(
            "fixture",
            (sys.executable, "-m", FIXTURE, "--era", "legacy"),
            interactive=True,
            guest_roots=True,
            cwd=str(Path(__file__).parents[2]),
        )
        self.registry = Registry([self._children.run(settings)], clock)
        self.parking = Parking(clock, b"of this test")

    def guest(self, name: str) -> Endpoint:
        """The server under its own names, as a guest has it."""
        from twisted.internet import reactor

        from modelplex.guests.tools import ServerGrants, ToolPolicy
        from modelplex.mcp.calls import CallRules, Calls
        from modelplex.mcp.endpoint import Endpoint
        from modelplex.mcp.limits import Limit, Limits

        clock: Any = reactor
        calls = Calls(CallRules(), Limits(lambda s, tool: Limit(), clock), clock)
        policy = ToolPolicy(name, servers={"fixture": ServerGrants()})
        return Endpoint(self.registry.view(policy, "fixture"), calls, self.parking, {})


@pytest_twisted.async_yield_fixture
async def house() -> AsyncIterator[House]:
    """Nothing that it started, and nothing that is parked, outlives the test."""
    from twisted.internet import reactor

    from modelplex.testing.fakes.child import Children

    children = Children(reactor)
    one = House(children)
    yield one
    one.parking.stop()
    await one.registry.stop()
    await children.stop()


async def call(endpoint: Endpoint, name: str, **more: Any) -> Any:
    from modelplex.testing.fakes.child import Asked

    caller = Asked("debug")
    caller.guest = endpoint.guest
    params = {"name": name, "arguments": {}, **more}
    result = await endpoint.request("tools/call", params, caller, VERSION)
    return result, caller


async def test_a_call_that_waits_for_its_client_holds_nobody_up(
    house: House,
) -> None:
    one, two = house.guest("one"), house.guest("two")
    asked, _ = await call(one, ELICIT)
    assert list(asked["inputRequests"]) == ["user_name"]
    simple, _ = await call(two, "test_simple_text")
    assert "isError" not in simple
    answers = {"user_name": NAME}
    state = asked["requestState"]
    done, _ = await call(one, ELICIT, inputResponses=answers, requestState=state)
    assert done["content"][0]["text"] == "Hello, Ann!"


async def test_several_questions_of_a_legacy_server_are_one_round(
    house: House,
) -> None:
    one = house.guest("one")
    await call(one, ELICIT)  # and is abandoned
    asked, _ = await call(one, SEVERAL)
    questions = asked["inputRequests"]
    assert len(questions) == 3
    answers = {
        key: {"elicitation/create": NAME, "roots/list": ROOT}.get(q["method"], SAID)
        for key, q in questions.items()
    }
    state = asked["requestState"]
    done, _ = await call(one, SEVERAL, inputResponses=answers, requestState=state)
    assert "isError" not in done and done["resultType"] == "complete"


async def test_lines_reach_a_guest_whose_earlier_call_is_abandoned_and_no_other(
    house: House,
) -> None:
    one, two = house.guest("one"), house.guest("two")
    await call(one, ELICIT)
    _, mine = await call(one, "test_tool_with_logging")
    assert mine.lines
    _, other = await call(two, "test_tool_with_logging")
    assert other.lines == []


async def test_nobody_is_asked_for_another_guest_whose_call_waits(
    house: House,
) -> None:
    one, two = house.guest("one"), house.guest("two")
    await call(one, ELICIT)
    with pytest.raises(RpcError, match="not clear who"):
        await call(two, ELICIT)
