"""Tools for programs that speak no MCP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.tools import ToolHouse
from modelplex.tools import ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import RpcError


def called(house: ToolHouse, name: str, body: object = b"{}") -> Guest:
    guest = house.guest()
    guest.post(f"/v1/tools/{name}", body)
    return guest


def refused(guest: Guest) -> tuple[int, Any]:
    return guest.answer().status, guest.answer().error["code"]


def test_tools_are_listed_with_their_schemas() -> None:
    house = ToolHouse()
    answer = house.guest().get("/v1/tools")
    assert json.loads(answer.body) == {
        "object": "list",
        "data": [
            {
                "object": "tool",
                "name": "echo",
                "description": "Says it.",
                "input_schema": {"type": "object"},
            }
        ],
    }
    house.nothing_is_left()


def test_a_tool_is_called_with_the_body_as_its_arguments() -> None:
    house = ToolHouse()
    for said, body in (("hi", {"message": "hi"}), ("", b""), ("", b" {} ")):
        answer = called(house, "echo", body).answer()
        assert answer.status == 200
        assert json.loads(answer.body) == {
            "content": [{"type": "text", "text": f"Echo: {said}"}]
        }
    house.nothing_is_left()


def test_what_a_tool_says_went_wrong_is_its_answer() -> None:
    house = ToolHouse()
    guest = called(house, "slow")
    told = {
        "resultType": "complete",
        "isError": True,
        "content": [],
        "_meta": {"io.modelcontextprotocol/serverInfo": {}, "com.x/y": 1},
    }
    house.served.last.waiting.callback(told)
    assert guest.answer().status == 200
    assert json.loads(guest.answer().body) == {
        "isError": True,
        "content": [],
        "_meta": {"com.x/y": 1},
    }
    house.nothing_is_left()


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b'"x"', b"null", b'{"a":1,"a":2}'])
def test_arguments_are_an_object(body: bytes) -> None:
    house = ToolHouse()
    assert called(house, "echo", body).answer().status == 400
    assert not house.served.seen
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RpcError(-32602, "Unknown tool: slow"), 404, "tool_not_found"),
        (RpcError(-32021, "ask"), 422, "tool_refused"),
        (ToolServerTimeout("one: too slow"), 504, None),
        (ToolServerError("one: it is down"), 502, None),
        (RpcError(-32603, "broken"), 502, None),
    ],
)
def test_what_keeps_a_tool_from_being_called_has_a_status(
    error: Exception, status: int, code: str | None
) -> None:
    house = ToolHouse()
    guest = called(house, "slow")
    house.served.last.fail(error)
    assert refused(guest) == (status, code)
    house.nothing_is_left()


def test_a_tool_that_is_there_has_refused_its_arguments() -> None:
    house = ToolHouse()
    guest = called(house, "echo", {"message": 1})
    assert refused(guest) == (400, "tool_refused")
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("line", "status"),
    [("Origin: http://evil.example.com", 403), ("Host: evil.example.com", 421)],
)
def test_pages_of_elsewhere_are_refused(line: str, status: int) -> None:
    house = ToolHouse()
    assert house.guest().get("/v1/tools", "GET", line).status == status
    guest = house.guest()
    guest.post("/v1/tools/echo", {}, line)
    assert guest.answer().status == status and not house.served.seen
    house.nothing_is_left()


def test_hanging_up_cancels() -> None:
    house = ToolHouse()
    guest = called(house, "slow")
    request = house.served.last
    guest.leave()
    assert request.cancelled
    house.nothing_is_left()


def test_half_of_a_surrogate_pair_does_not_crash() -> None:
    house = ToolHouse()
    guest = called(house, "slow")
    house.served.last.answer("\ud800")
    assert guest.answer().status == 200
    assert "\\ud800" in guest.answer().body.decode()
    house.nothing_is_left()
