"""
Clients that ask for tools: each lists them all, and makes some calls.

An SDK's client is a program that is given its calls, pairs of name and arguments, on
its standard input, and prints what it was told: ``{"tools": [names], "results":
[{"failed", "text"} or {"code"}]}``.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket as sockets
import subprocess
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from tests.mcp_servers.servers import MODULES, PLACE

CLIENTS = Path(__file__).with_name("clients")
URL = "http://localhost/mcp"
PATIENCE = 60.0  # seconds
VERSION = "2025-11-25"

Calls: TypeAlias = Sequence[tuple[str, Any]]
Told: TypeAlias = dict[str, Any]
Client: TypeAlias = Callable[[str, Calls, Path], Told]


def program(
    command: Sequence[str], socket: str, calls: Calls, directory: Path, *more: str
) -> Told:
    """An SDK's client."""
    done = subprocess.run(
        [*command, socket, URL, *more],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
    )
    assert done.returncode == 0, done.stderr
    found: Told = json.loads(done.stdout)
    return found


def python(version: int, *more: str) -> Client:
    """The Python SDK."""
    binary = str(PLACE / f"sdk{version}" / "bin" / "python")
    script = str(CLIENTS / f"python{version}.py")
    return lambda socket, calls, directory: program(
        [binary, script], socket, calls, directory, *more
    )


def typescript(version: int, *more: str) -> Client:
    """The TypeScript SDK; Node finds packages beside the script."""

    def asked(socket: str, calls: Calls, directory: Path) -> Told:
        script = directory / f"typescript{version}.mjs"
        shutil.copy(CLIENTS / script.name, script)
        (directory / "node_modules").symlink_to(MODULES)
        return program(["node", script.name], socket, calls, directory, *more)

    return asked


def rest(socket: str, calls: Calls, directory: Path) -> Told:
    """A program that speaks no MCP."""
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    connection.sock = peer = sockets.socket(sockets.AF_UNIX)
    peer.settimeout(PATIENCE)
    peer.connect(socket)

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    status, listed = ask("GET", "/v1/tools")
    assert status == 200, listed
    results = []
    for name, arguments in calls:
        status, told = ask("POST", f"/v1/tools/{name}", arguments)
        results.append(_result(told) if status == 200 else {"code": status})
    connection.close()
    return {"tools": [one["name"] for one in listed["data"]], "results": results}


def lines(socket: str, calls: Calls, directory: Path) -> Told:
    """A program that writes lines to the socket."""
    with sockets.socket(sockets.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(socket)
        with peer.makefile("rb") as reader:
            return _spoken(peer.sendall, reader.readline, calls)


def netcat(socket: str, calls: Calls, directory: Path) -> Told:
    """A program that thinks that ``nc -U`` is a tool server."""
    with subprocess.Popen(
        ["nc", "-U", socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as nc:
        assert nc.stdin is not None and nc.stdout is not None
        try:
            return _spoken(nc.stdin.write, nc.stdout.readline, calls)
        finally:
            nc.kill()


def _spoken(
    write: Callable[[bytes], Any], read: Callable[[], bytes], calls: Calls
) -> Told:
    numbers = count(1)

    def ask(method: str, **params: Any) -> Any:
        id = next(numbers)
        asked = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        write(json.dumps(asked).encode() + b"\n")
        while True:
            told = json.loads(read())
            if told.get("id") == id:
                return told

    us = {"name": "lines", "version": "1"}
    begun = ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo=us)
    assert begun["result"]["protocolVersion"] == VERSION
    write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    listed = ask("tools/list")["result"]["tools"]
    results = []
    for name, arguments in calls:
        told = ask("tools/call", name=name, arguments=arguments)
        failed = told.get("error")
        results.append({"code": failed["code"]} if failed else _result(told["result"]))
    return {"tools": [one["name"] for one in listed], "results": results}


def _result(told: Told) -> Told:
    texts = [one["text"] for one in told["content"] if one["type"] == "text"]
    return {"failed": told.get("isError") is True, "text": "\n".join(texts)}


WAYS: dict[str, Client] = {
    "python-2-legacy": python(2, "legacy"),
    "python-2-modern": python(2, "2026-07-28"),
    "python-1": python(1),
    "typescript-2-legacy": typescript(2, "legacy"),
    "typescript-2-modern": typescript(2, "2026-07-28"),
    "typescript-1": typescript(1),
    "rest": rest,
    "lines": lines,
    "nc": netcat,
}
