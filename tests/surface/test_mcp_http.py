"""Who may ask for MCP over HTTP at all."""

from __future__ import annotations

import pytest

from modelplex.surface.mcp_http import accepts
from modelplex.surface.mcp_origin import is_near_origin
from modelplex.testing.memory.house import House
from modelplex.testing.memory.tools import ToolHouse, call

BEGIN = call("initialize", {"protocolVersion": "2025-06-18"})


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:3931", "LOCALHOST", "127.0.0.1", "127.0.0.1:80"),
        *("127.1.2.3:1", "[::1]", "[::1]:3931", "modelplex", "modelplex:80", "", "x"),
        *("unix", "%2Frun%2Fmodelplex%2Fdefault.sock", "app.localhost"),
    ],
)
def test_hosts_of_this_machine_are_served(host: str) -> None:
    house = ToolHouse()
    assert house.post(BEGIN, f"Host: {host}").answer().status == 200
    house.nothing_is_left()


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example.com",
            "evil.example.com:3931",
            "localhost.evil.com",
            "10.0.0.1",
        ),
        *("127.0.0.1.evil.com", "[fe80::1]", "192.168.1.5:80", "localhost:x", "a b"),
        *("evil.com%2f", "example.com."),
    ],
)
def test_hosts_of_elsewhere_are_not(host: str) -> None:
    house = ToolHouse()
    assert house.post(BEGIN, f"Host: {host}").answer().status == 421
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("origin", "near"),
    [
        *(("http://localhost", True), ("http://localhost:3000", True)),
        *(("https://127.0.0.1:8443", True), ("http://[::1]:1", True)),
        *(("http://modelplex", True), ("HTTP://LOCALHOST", True)),
        *(("http://evil.example.com", False), ("null", False), ("", False)),
        *(("http://localhost.evil.com", False), ("file://", False)),
        *(("http://localhost:1@evil.com", False), ("chrome-extension://x", False)),
    ],
)
def test_pages_of_elsewhere_are_refused(origin: str, near: bool) -> None:
    assert is_near_origin(origin) is near
    house = ToolHouse()
    session = house.session()
    line = f"Origin: {origin}"
    refused = 200 if near else 403
    assert house.post(BEGIN, line).answer().status == refused
    assert (
        house.post(BEGIN, "Origin: http://localhost", line).answer().status == refused
    )
    assert house.modern("tools/list", {}).answer().status == 200
    for method in ("GET", "DELETE"):
        answer = house.guest().get("/mcp", method, session, line, "Accept: */*")
        assert answer.status == refused
    house.nothing_is_left()


def test_two_hosts_are_none() -> None:
    house = ToolHouse()
    answer = house.post(BEGIN, "Host: localhost", "Host: localhost").answer()
    assert answer.status == 421
    house.nothing_is_left()


def test_a_guest_without_tools_has_no_mcp() -> None:
    house = House()
    for path in ("/mcp", "/mcp/one", "/v1/tools"):
        assert house.guest().get(path).status == 404
    assert (
        house.guest().get("/v1/tools/echo", "POST", "Content-Length: 0").status == 404
    )
    house.nothing_is_left()


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        *(([], True), ([""], True), (["*/*"], True), (["text/*"], False)),
        *((["application/*"], True), (["application/json"], True)),
        *((["APPLICATION/JSON; q=0.1"], True), (["application/json;q=0"], False)),
        *((["*/*, application/json;q=0"], False), (["*/*;q=0"], False)),
        *((["text/html", "application/json"], True), (["application/jsonx"], False)),
    ],
)
def test_accept_is_read_as_http_says(accept: list[str], taken: bool) -> None:
    assert accepts(tuple(accept), "application/json") is taken
