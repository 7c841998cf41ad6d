"""The rules of a configuration about tools that no single field can tell."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from modelplex.configcheck import Findings, fields, table, tables
from modelplex.configrules import (
    argument_rules,
    header_names,
    missing,
    refuse_unset,
    unique,
)
from modelplex.settings import Audit, Mcp, McpServer

#: Keys that only one of the two kinds of server reads.
_OF_COMMAND = ("args", "env", "cwd", "wrapper", "restarts")
_OF_URL = ("headers", "oauth", "plain_http")


def mcp(value: object, found: Findings) -> Mcp:
    """The [mcp] table, without the servers that a missing variable disables."""
    given = table(value, "mcp", found)
    rest = {key: item for key, item in given.items() if key != "servers"}
    right = fields(Mcp, rest, "mcp", found)
    refuse_unset(found)
    servers: list[McpServer] = []
    names: dict[str, str] = {}
    for i, its in enumerate(tables(given.get("servers", []), "mcp.servers", found)):
        path = f"mcp.servers[{i}]"
        mistakes = len(found.problems)
        one = fields(McpServer, its, path, found)
        unique(one.get("name"), f"{path}.name", names, found)
        _server(its, one, path, found)
        unset = found.take_unset()
        if unset:
            found.warnings.append(f"{path}: disabled: {missing(unset, path)}")
        elif len(found.problems) == mistakes:
            servers.append(McpServer(**one))
    return Mcp(**right, servers=tuple(servers))


def _server(
    given: Mapping[str, Any], right: Mapping[str, Any], path: str, found: Findings
) -> None:
    header_names(given.get("headers"), f"{path}.headers", found)
    if ("command" in given) == ("url" in given):
        found.problem(path, "give it a command or a url, one of them")
    else:
        kind, others = ("url", _OF_COMMAND) if "url" in given else ("command", _OF_URL)
        for key in others:
            if key in given:
                found.problem(f"{path}.{key}", f"a server with a {kind} takes none")
    _oauth(given.get("oauth"), right.get("url"), path, found)
    if "__" in right.get("name", ""):
        # or the tools of one could be shown as those of another
        found.problem(f"{path}.name", "must not hold '__', which ends it before a tool")
    if right.get("timeout", 0) > right.get("timeout_cap", 600.0):
        found.problem(f"{path}.timeout", "is more than timeout_cap")
    argument_rules(right.get("rules", ()), f"{path}.rules", found)


def _oauth(given: object, url: str | None, path: str, found: Findings) -> None:
    """A server of another machine does not choose who gets the client's secret."""
    if not isinstance(given, Mapping) or url is None or _is_ours(url):
        return
    if "issuer" not in given:
        found.problem(
            f"{path}.oauth.issuer",
            "missing: say issuer, the only authority that may have the secret",
        )


def _is_ours(url: str) -> bool:
    """Whether the server is on this machine: a UNIX socket, or the loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http+unix" or host == "localhost":
        return True
    try:
        return host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


def audit(value: object, found: Findings) -> Audit:
    """The [audit] table, or its defaults when it has mistakes."""
    right = fields(Audit, table(value, "audit", found), "audit", found)
    refuse_unset(found)
    return Audit(**right)
