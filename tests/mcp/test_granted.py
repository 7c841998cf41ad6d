"""From the configuration to what each guest may do with tools."""

from __future__ import annotations

import os
from typing import Any

from modelplex.config import Guest, McpServer, parse
from modelplex.guests.arguments import Checked, Refused
from modelplex.guests.tools import Decision
from modelplex.mcp.granted import ArgumentRules, policy_of

CONFIG = """
[[providers]]
name = "demo"
type = "demo"

[[mcp.servers]]
name = "fs"
command = "mcp-server-filesystem"
cwd = "/"
tools = { allow = ["read_*", "write_*"], deny = ["write_all"], ask = ["write_*"] }
rules = [
    { argument = "/path", tools = ["*_file"], inside = ["/nonexistent"] },
    { argument = "/mode", value = "text", tools = ["read_file"] },
]

[[mcp.servers]]
name = "free"
command = "x"
check_arguments = false

[[guests]]
name = "default"
tools = ["fs__*"]
ask = ["fs__read_secret*"]
rules = [{ argument = "/path", tools = ["fs__read_*"], max_length = 20 }]

[[guests]]
name = "other"
socket = "/run/other/s"
read_only = true
"""
FILE = {
    "name": "read_file",
    "inputSchema": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "mode": {}},
        "required": ["path", "mode"],
    },
}


def configured() -> tuple[tuple[Guest, ...], tuple[McpServer, ...]]:
    config = parse(CONFIG, {})
    return config.guests, config.mcp.servers


def test_a_guests_policy_is_its_servers_and_its_own() -> None:
    (default, other), servers = configured()
    policy = policy_of(default, servers)

    def decided(tool: str, of: Any = policy) -> Decision:
        found: Decision = of.verdict("fs", tool, f"fs__{tool}").decision
        return found

    assert decided("read_file") is Decision.ALLOW
    assert decided("read_secret") is Decision.ASK
    assert decided("write_file") is Decision.ASK
    assert decided("write_all") is Decision.DENY
    assert decided("delete") is Decision.DENY
    assert policy.verdict("free", "x", "free__x").decision is Decision.DENY
    assert decided("read_file", policy_of(other, servers)) is Decision.DENY


def test_the_rules_of_server_and_guest_all_hold() -> None:
    (default, other), servers = configured()
    rules = ArgumentRules.of(default, servers, os.path.realpath)
    fits = {"path": "/nonexistent/a"}
    assert rules.check("fs", FILE, fits) == Checked({**fits, "mode": "text"})
    assert rules.check("fs", FILE, {"path": "nonexistent/a"}) == Checked(
        {"path": "nonexistent/a", "mode": "text"}
    )
    for wrong in ({"path": "/etc"}, {}, {**fits, "mode": "x"}):
        assert isinstance(rules.check("fs", FILE, wrong), Refused)
    long = {"path": "/nonexistent/" + "a" * 20}
    assert isinstance(rules.check("fs", FILE, long), Refused)
    free = ArgumentRules.of(other, servers, os.path.realpath)
    assert isinstance(free.check("fs", FILE, long), Checked)


def test_a_guest_does_not_see_what_is_pinned() -> None:
    (default, _), servers = configured()
    rules = ArgumentRules.of(default, servers, os.path.realpath)
    seen = rules.listed("fs", FILE)
    assert seen["inputSchema"]["required"] == ["path"]
    other = {**FILE, "name": "list"}
    assert rules.listed("fs", other) is other


def test_a_schema_is_left_unchecked_where_that_is_wanted() -> None:
    (default, _), servers = configured()
    rules = ArgumentRules.of(default, servers, os.path.realpath)
    assert isinstance(rules.check("free", FILE, {}), Checked)
    assert isinstance(rules.check("free", {"name": "x"}, {}), Checked)
