"""``modelplex tools``: the tool servers of a running modelplex."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TextIO

import msgspec

from modelplex.cli.asking import add_json, answer, plain, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes beside the common options."""
    add_json(parser)
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "accept", "restart"),
        default="list",
        help="list servers and tools (the default), accept definitions that are new "
        "or have changed, or restart a server",
    )
    parser.add_argument("server", nargs="?", metavar="SERVER", help="only this server")
    parser.add_argument("tool", nargs="?", metavar="TOOL", help="accept only this tool")
    parser.add_argument(
        "--hash",
        metavar="HASH",
        help="accept only this definition, as `list` shows it",
    )


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Print or do it; 1 if it cannot be done."""
    if args.action == "list":
        return _list(args, environ, stdout)
    if args.server is None:
        print(f"modelplex: name the server to {args.action}", file=stdout)
        return 2
    gone = f"there is no tool server {args.server!r}"
    if args.action == "restart":
        body: dict[str, Any] = {"server": args.server}
        done = answer(args, environ, "/tools/restart", body, gone)
        return 0 if done is not None else 1
    body = {"server": args.server, "tool": args.tool, "hash": args.hash}
    done = answer(args, environ, "/tools/accept", body, gone)
    if done is None:
        return 1
    if args.json:
        print(msgspec.json.encode(done).decode(), file=stdout)
    for name in () if args.json else done["accepted"]:
        print(f"accepted {plain(args.server)} {plain(name)}", file=stdout)
    if not done["accepted"]:
        print("nothing was accepted: no such definition waits", file=stdout)
        return 1
    return 0


def _list(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    servers = answer(args, environ, "/tools")
    if servers is None:
        return 1
    if args.server is not None:
        servers = [one for one in servers if one["name"] == args.server]
    if args.json:
        print(msgspec.json.encode(servers).decode(), file=stdout)
        return 0
    rows = [("SERVER", "STATE", "VERSION", "PID", "RESTARTS", "CALLS", "ERRORS", "WHY")]
    rows += [
        (
            one["name"],
            one["state"],
            one.get("version") or "-",
            str(one.get("pid") or "-"),
            str(one.get("restarts", 0)),
            str(one.get("calls", 0)),
            str(one.get("errors", 0)),
            plain(one.get("why") or "-"),
        )
        for one in servers
    ]
    print(table(rows), file=stdout)
    tools = [("TOOL", "STANDING", "CHANGED", "HASH")]
    tools += [
        (
            plain(tool["exposed"]),
            tool["standing"],
            " ".join(tool.get("changed", ())) or "-",
            tool.get("hash", "")[:16] if args.server is None else tool.get("hash", ""),
        )
        for one in servers
        for tool in one.get("tools", ())
    ]
    print(table(tools), file=stdout)
    waiting = sum(tool[1] != "trusted" for tool in tools[1:])
    if waiting:
        print(
            f"{waiting} wait to be accepted: modelplex tools accept SERVER [TOOL]",
            file=stdout,
        )
    return 0
