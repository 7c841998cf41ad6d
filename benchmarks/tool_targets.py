"""What lies between a client and the smallest tool server, and the ways through it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from benchmarks.client import Address
from benchmarks.targets import ROOT, free_port, here
from benchmarks.tool_server import TOOL
from benchmarks.tool_ways import Http, Pipes, SocketLines, Way

SERVER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("tool_server.py")))

_MODELPLEX = """\
[server]
socket = "{path}"

[mcp]
state = "{state}"

[[mcp.servers]]
name = "bench"
command = {command}
args = {args}
"""
_FASTMCP = """\
import sys
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy

port, command, *args = sys.argv[1:]
proxy = create_proxy(StdioTransport(command, args))
proxy.run("http", False, host="127.0.0.1", port=int(port), log_level="ERROR")
"""


@frozen
class ToolTarget:
    """
    A gateway, or nothing.

    :ivar command: empty: a client starts the server itself.
    :ivar ways: by the name that the report has for each.
    """

    name: str
    ways: Mapping[str, Way]
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict)


def direct() -> ToolTarget:
    """The server's own pipes."""
    return ToolTarget("direct", {"direct: pipes": Pipes(SERVER, TOOL)})


def modelplex(directory: Path) -> ToolTarget:
    """Modelplex as a user runs it, with all that is on by default."""
    guest = directory / "guest"
    guest.mkdir(mode=0o700)
    state = directory / "kept"
    path, config = str(guest / "modelplex.sock"), directory / "modelplex.toml"
    program, *args = SERVER
    config.write_text(
        _MODELPLEX.format(
            path=path,
            state=state / "tools",
            command=json.dumps(program),
            args=json.dumps(args),
        )
    )
    address, tool = Address(path=path), f"bench__{TOOL}"
    return ToolTarget(
        "modelplex",
        {
            "modelplex: lines": SocketLines(path, tool),
            "modelplex: HTTP, 2026-07-28": Http(address, "modern", tool),
            "modelplex: HTTP, 2025-11-25": Http(address, "legacy", tool),
            "modelplex: plain JSON": Http(address, "rest", tool),
        },
        (sys.executable, "-m", "modelplex.cli.main", "-c", str(config)),
        here() | {"XDG_RUNTIME_DIR": str(directory)},
    )


def mcp_proxy(program: str) -> ToolTarget:
    """mcp-proxy, over TCP and with sessions; it has nothing else."""
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "ERROR")
    return ToolTarget(
        "mcp-proxy",
        {"mcp-proxy: HTTP, 2025-11-25": Http(Address(port=port), "legacy", TOOL)},
        (program, *where, "--", *SERVER),
    )


def fastmcp(python: str) -> ToolTarget:
    """FastMCP's proxy; `python` is that of its environment."""
    port = free_port()
    address = Address(port=port)
    # To a modern client it does not show the tools of a server that is not.
    return ToolTarget(
        "fastmcp",
        {"fastmcp: HTTP, 2025-11-25": Http(address, "legacy", TOOL)},
        (python, "-c", _FASTMCP, str(port), *SERVER),
    )


def environment(target: ToolTarget) -> dict[str, str]:
    """Ours, without what would be a secret, and with what the target wants."""
    ours = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    return {**ours, "PYTHONPATH": str(ROOT), **target.environment}
