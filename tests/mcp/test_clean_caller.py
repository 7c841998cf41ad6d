"""What a server tells and asks during a call, on its way to the guest."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from modelplex.config import parse
from modelplex.mcp.approvals import Approvals
from modelplex.mcp.calls import Calls
from modelplex.mcp.clean_caller import ASKED, TOLD, CleanCaller
from modelplex.mcp.granted import ArgumentRules, policy_of
from modelplex.mcp.guest_rules import GuestRules
from modelplex.mcp.guest_view import View
from modelplex.mcp.hygiene import Hygiene
from modelplex.mcp.limits import Limit, Limits
from modelplex.mcp.masking import Mask
from modelplex.mcp.registry import Registry
from modelplex.secret import Secret
from modelplex.testing.fakes.tool_server import FakeToolServer, text, tool
from modelplex.tools import Caller, Listing, Question
from modelplex.wire.jsonrpc import INVALID_PARAMS, Params, Result, RpcError

KEY = "sk-live-0123456789abcdef"
DIRTY, CLEAN = f"a{KEY}\u202e", "a***<U+202E>"
CONFIG = """
[[mcp.servers]]
name = "fs"
command = "x"
[[guests]]
name = "default"
"""
LISTING = Listing(
    tools=(tool("read"),),
    prompts=({"name": "greet"},),
    resources=({"uri": "x:1", "name": "one"},),
)


@define(eq=False)
class Hearing:
    """A client that notes what reaches it, and answers every question."""

    guest: str = "default"
    request_id: str = "r-1"
    capabilities: Mapping[str, Any] = field(factory=dict)
    log_level: str | None = "debug"
    heard: list[Any] = field(factory=list)
    asked: list[Mapping[str, Question]] = field(factory=list)
    answer: Any = field(factory=lambda: {"action": "accept", "content": {"k": KEY}})

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        self.heard.append((progress, total, message))

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        self.heard.append((level, logger, data))

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        self.asked.append(questions)
        self.capabilities = {"elicitation": {}}
        return {**dict.fromkeys(questions, self.answer), "more": 1}


Talk = Callable[[Caller], Awaitable[object]]


@define
class Desk:
    """The calls of one guest, with everything real but the server and the client."""

    hearing: Hearing = field(factory=Hearing)
    clock: Clock = field(factory=Clock)
    server: FakeToolServer = field(factory=lambda: FakeToolServer("fs", LISTING))
    view: View = field(init=False)
    calls: Calls = field(init=False)

    def __attrs_post_init__(self) -> None:
        config = parse(CONFIG, {})
        [guest] = config.guests
        rules = GuestRules(
            guest.name,
            ArgumentRules.of(guest, config.mcp.servers, os.path.realpath),
            Hygiene("mark", Mask.of([Secret(KEY)])),
            Approvals(self.clock, 60.0),
            {"fs": 16},
        )
        registry = Registry([self.server], self.clock)
        policy = policy_of(guest, config.mcp.servers)
        self.view = registry.view(policy, None, rules.shown)
        limits = Limits(lambda server, name: Limit(concurrency=1), self.clock)
        self.calls = Calls(rules.call_rules(), limits, self.clock)

    def made(self, method: str, talk: Talk) -> None:
        """Make one call, during which the server talks."""

        async def act(params: Params, caller: Caller) -> Result:
            await talk(caller)
            return text("done")

        self.server.set(method, act)
        calls, view, caller = self.calls, self.view, self.hearing
        match method:
            case "tools/call":
                work = calls.call(view, "fs__read", {}, caller)
            case "prompts/get":
                work = calls.get(view, "fs__greet", {}, caller)
            case "resources/read":
                work = calls.read(view, "x:1", caller)
            case _:
                offer = view.offers.tools["fs__read"]
                work = calls.complete(offer, {}, caller)
        result(work)


def result(work: Any) -> Any:
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    assert found, "it waits"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


METHODS = ["tools/call", "prompts/get", "resources/read", "completion/complete"]


@pytest.mark.parametrize("method", METHODS)
def test_secrets_and_hidden_characters_of_what_is_told_do_not_pass(method: str) -> None:
    desk = Desk()

    async def talk(caller: Caller) -> None:
        caller.progressed(1, 2, DIRTY)
        caller.progressed(2, None, None)
        caller.logged("info", DIRTY, {DIRTY: [DIRTY, 1, None], "n": {"x": DIRTY}})
        caller.logged("info", None, DIRTY)

    desk.made(method, talk)
    assert desk.hearing.heard == [
        (1, 2, CLEAN),
        (2, None, None),
        ("info", CLEAN, {CLEAN: [CLEAN, 1, None], "n": {"x": CLEAN}}),
        ("info", None, CLEAN),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_secrets_and_hidden_characters_of_questions_do_not_pass(method: str) -> None:
    desk, answers = Desk(), []
    schema = {"type": "object", "properties": {"k": {"description": DIRTY}}}
    message = {"role": "user", "content": {"type": "text", "text": DIRTY}}

    async def talk(caller: Caller) -> None:
        form = {"message": DIRTY, "requestedSchema": schema}
        sampling = {"systemPrompt": DIRTY, "messages": [message], "maxTokens": 9}
        questions = {
            DIRTY: Question("elicitation/create", form),
            CLEAN: Question("sampling/createMessage", sampling),
        }
        answers.append(await caller.ask(questions))
        assert caller.capabilities == {"elicitation": {}}

    desk.made(method, talk)
    [asked] = desk.hearing.asked
    assert {key: (one.method, one.params) for key, one in asked.items()} == {
        CLEAN: (
            "elicitation/create",
            {
                "message": CLEAN,
                "requestedSchema": {
                    "type": "object",
                    "properties": {"k": {"description": CLEAN}},
                },
            },
        ),
        f"{CLEAN}-2": (
            "sampling/createMessage",
            {
                "systemPrompt": CLEAN,
                "messages": [
                    {"role": "user", "content": {"type": "text", "text": CLEAN}}
                ],
                "maxTokens": 9,
            },
        ),
    }
    # Under the server's own names, and with what the guest says.
    assert answers == [dict.fromkeys((DIRTY, CLEAN), desk.hearing.answer)]


def as_it_is(server: str, value: Any) -> Any:
    return value


def test_what_is_told_at_length_is_cut_and_says_so() -> None:
    hearing = Hearing()
    caller = CleanCaller(hearing, "fs", as_it_is)
    caller.progressed(1, None, "x" * (TOLD + 1))
    caller.logged("info", "é" * TOLD, "y" * TOLD)
    caller.logged("info", None, {"z": "z" * TOLD})
    (_, _, message), (_, logger, line), (_, _, part) = hearing.heard
    marker = f"\n[cut by modelplex: {TOLD} of {{}} bytes shown]"
    assert message == "x" * TOLD + marker.format(TOLD + 1)
    assert logger == "é" * (TOLD // 2) + marker.format(2 * TOLD)
    assert line == "y" * TOLD
    whole = json.dumps({"z": "z" * TOLD})
    assert part == whole[:TOLD] + marker.format(len(whole))


def test_a_cut_does_not_take_a_secret_apart() -> None:
    desk = Desk()

    async def talk(caller: Caller) -> None:
        caller.logged("info", None, "x" * (TOLD - 12) + KEY + "y" * TOLD)

    desk.made("tools/call", talk)
    [(_, _, said)] = desk.hearing.heard
    assert said[TOLD - 12 :].startswith("***y") and KEY[:8] not in said


@pytest.mark.parametrize("key", ["q", "q" * (ASKED + 1)])
def test_a_question_that_is_too_large_is_not_asked(key: str) -> None:
    hearing = Hearing()
    caller = CleanCaller(hearing, "fs", as_it_is)
    long = "x" * (ASKED + 1 if key == "q" else 1)
    question = Question("elicitation/create", {"message": long})
    with pytest.raises(RpcError) as caught:
        result(caller.ask({key: question}))
    assert caught.value.rpc_code == INVALID_PARAMS
    assert "too large" in caught.value.message
    assert hearing.asked == []


def test_a_large_question_is_asked_whole_even_where_results_are_small() -> None:
    desk = Desk()  # where results may have 16 bytes
    params = {"message": "x" * (ASKED // 2)}

    async def talk(caller: Caller) -> None:
        await caller.ask({"q": Question("elicitation/create", params)})

    desk.made("tools/call", talk)
    [asked] = desk.hearing.asked
    assert asked["q"].params == params
