"""The conformance suite's server, asked directly: both eras, and the one between."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from attrs import define, field

from modelplex.testing.fakes import mcp_fixture_offers as offers
from modelplex.testing.fakes.mcp_fixture import KEY, Server

PREFIX = "io.modelcontextprotocol/"
ASKING = [one["name"] for one in offers.tools(False) if "input_required" in one["name"]]
ANSWERS: dict[str, Any] = {
    "elicitation/create": {"action": "accept", "content": {"name": "Ada", "ok": True}},
    "sampling/createMessage": {"role": "assistant", "content": offers.said("Paris")},
    "roots/list": {"roots": [{"uri": "file:///srv"}]},
}
CAPABILITIES: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}


@define(eq=False)
class Talk:
    """A client that waits for each answer."""

    server: Server
    output: io.BytesIO
    _read: int = 0
    _next: int = 0
    heard: list[dict[str, Any]] = field(factory=list)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer; questions meanwhile are answered, the rest is in `heard`."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": params}
        self.server.take(message)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for told in self._new():
                if "method" not in told:
                    return told
                self.heard.append(told)
                if "id" in told:
                    answer = ANSWERS[told["method"]]
                    self.server.take({"id": told["id"], "result": answer})
            time.sleep(0.001)
        raise AssertionError("no answer")

    def modern(
        self, method: str, can: dict[str, Any] = CAPABILITIES, **params: Any
    ) -> dict[str, Any]:
        """The answer to a request with an envelope."""
        meta = {
            f"{PREFIX}protocolVersion": "2026-07-28",
            f"{PREFIX}clientCapabilities": can,
            **params.pop("meta", {}),
        }
        return self.ask(method, _meta=meta, **params)

    def _new(self) -> list[dict[str, Any]]:
        *whole, rest = self.output.getvalue()[self._read :].split(b"\n")
        self._read = len(self.output.getvalue()) - len(rest)
        return [json.loads(line) for line in whole]


def talk(era: str) -> Talk:
    output = io.BytesIO()
    return Talk(Server(era, output), output)


def begun(era: str = "legacy") -> Talk:
    one = talk(era)
    told = one.ask(
        "initialize", protocolVersion="2025-11-25", capabilities=CAPABILITIES
    )
    assert told["result"]["protocolVersion"] == "2025-11-25"
    return one


def test_each_era_knows_its_own_beginning() -> None:
    assert talk("legacy").modern("server/discover")["error"]["code"] == -32601
    assert talk("modern").ask("initialize")["error"]["code"] == -32602
    dual = talk("dual")
    assert dual.modern("server/discover")["result"]["supportedVersions"]
    assert dual.ask("initialize", protocolVersion="2024-11-05")["result"]


@pytest.mark.parametrize("name", ASKING)
def test_a_legacy_client_is_asked_by_requests(name: str) -> None:
    one = begun()
    told = one.ask("tools/call", name=name)
    assert told["result"]["content"][0]["text"]
    asked = [heard for heard in one.heard if "id" in heard]
    assert asked and all(heard["params"]["_meta"][KEY] for heard in asked)
    assert len({heard["id"] for heard in asked}) == len(asked)


@pytest.mark.parametrize("name", ASKING)
def test_a_modern_client_is_asked_in_rounds(name: str) -> None:
    one = talk("modern")
    params: dict[str, Any] = {}
    for _ in range(4):
        result = one.modern("tools/call", name=name, **params)["result"]
        if result["resultType"] == "complete":
            break
        asked = result["inputRequests"]
        answers = {key: ANSWERS[each["method"]] for key, each in asked.items()}
        params = {"inputResponses": answers}
        if "requestState" in result:
            params["requestState"] = result["requestState"]
    assert params and result["content"][0]["text"]
    assert not one.heard


def test_what_the_client_kept_must_be_what_it_was_given() -> None:
    one, name = talk("modern"), "test_input_required_result_tampered_state"
    state = one.modern("tools/call", name=name)["result"]["requestState"]
    answers = {"confirm": ANSWERS["elicitation/create"]}
    for kept in (state + "-TAMPERED", "x" + state, "", state[:-4]):
        told = one.modern(
            "tools/call", name=name, inputResponses=answers, requestState=kept
        )
        assert told["error"]["code"] == -32602
    other = one.modern(
        "tools/call",
        name="test_input_required_result_request_state",
        inputResponses=answers,
        requestState=state,
    )
    assert other["error"]["code"] == -32602


def test_what_a_client_cannot_be_asked_it_is_not() -> None:
    told = talk("modern").modern("tools/call", {}, name="test_missing_capability")
    assert told["error"]["code"] == -32021
    assert told["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}
    result = talk("modern").modern(
        "tools/call",
        {"sampling": {}},
        name="test_input_required_result_capabilities",
    )["result"]
    assert list(result["inputRequests"]) == ["capital_question"]


def test_lines_and_progress_are_told_to_those_who_want_them() -> None:
    one = talk("modern")
    one.modern("tools/call", name="test_tool_with_logging")
    one.modern("tools/call", name="test_tool_with_progress")
    assert not one.heard
    level = {f"{PREFIX}logLevel": "info"}
    one.modern("tools/call", name="test_tool_with_logging", meta=level)
    token = {"progressToken": "t"}
    one.modern("tools/call", name="test_tool_with_progress", meta=token)
    lines, steps = one.heard[:3], one.heard[3:]
    assert [line["params"]["data"] for line in lines] == [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ]
    assert [step["params"]["progress"] for step in steps] == [0, 50, 100]


def test_a_change_is_told_to_those_who_listen_for_it() -> None:
    one = talk("modern")
    for id, wanted in (("a", "toolsListChanged"), ("b", "promptsListChanged")):
        meta = {f"{PREFIX}protocolVersion": "2026-07-28"}
        params = {"_meta": meta, "notifications": {wanted: True}}
        one.server.take({"id": id, "method": "subscriptions/listen", "params": params})
    one.modern("tools/call", name="test_trigger_tool_change")
    acknowledged = "notifications/subscriptions/acknowledged"
    assert [
        (heard["method"], heard["params"]["_meta"][f"{PREFIX}subscriptionId"])
        for heard in one.heard
    ] == [
        (acknowledged, "a"),
        (acknowledged, "b"),
        ("notifications/tools/list_changed", "a"),
    ]
    listed = one.modern("tools/list")["result"]["tools"]
    assert listed[-1]["name"] == "test_dynamic_tool"


def test_a_resource_that_is_not_there_has_the_error_of_its_era() -> None:
    uri = "test://nonexistent-resource-for-conformance-testing"
    assert begun().ask("resources/read", uri=uri)["error"]["code"] == -32002
    assert talk("modern").modern("resources/read", uri=uri)["error"]["code"] == -32602
