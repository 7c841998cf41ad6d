"""``modelplex approve``: calls of tools that wait for the operator."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import msgspec

from modelplex.cli.asking import add_json, answer, plain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes beside the common options."""
    add_json(parser)
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="the call to approve; without, each is shown and asked about, or listed "
        "when this is no terminal",
    )
    parser.add_argument("--deny", action="store_true", help="deny it instead")
    parser.add_argument(
        "--why", default="", metavar="TEXT", help="a reason that the guest may read"
    )


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Decide, ask, or list; 1 if that cannot be done."""
    if args.id is not None:
        return _decide(args, environ, args.id, not args.deny, args.why, stdout)
    waiting = answer(args, environ, "/approvals")
    if waiting is None:
        return 1
    if args.json:
        print(msgspec.json.encode(waiting).decode(), file=stdout)
        return 0
    if not waiting:
        print("no call waits", file=stdout)
    code = 0
    for one in waiting:
        print(_described(one), file=stdout)
        if sys.stdin.isatty():
            code |= _asked(args, environ, one["id"], stdout)
    return code


def _asked(
    args: argparse.Namespace, environ: Mapping[str, str], id: str, stdout: TextIO
) -> int:
    """Ask about one call; whatever is no answer leaves it waiting."""
    print("  approve? [y]es, [n]o, later: ", end="", file=stdout, flush=True)
    said = sys.stdin.readline().strip().lower()
    if said in ("y", "yes"):
        return _decide(args, environ, id, True, "", stdout)
    if said in ("n", "no"):
        return _decide(args, environ, id, False, args.why, stdout)
    return 0


def _decide(
    args: argparse.Namespace,
    environ: Mapping[str, str],
    id: str,
    approve: bool,
    why: str,
    stdout: TextIO,
) -> int:
    if not id.isalnum():
        print(f"modelplex: {plain(id)!r} is no id of a call", file=sys.stderr)
        return 1
    body: dict[str, Any] = {"approve": approve, "why": why}
    gone = f"no call {id} waits; it was decided, went away, or took too long"
    if answer(args, environ, f"/approvals/{id}", body, gone) is None:
        return 1
    if not args.json:
        print(f"{'approved' if approve else 'denied'} {id}", file=stdout)
    return 0


def _described(one: Mapping[str, Any]) -> str:
    """
    A call in a few lines.

    Its arguments are JSON in ASCII, so that nothing in them is read as anything else.
    """
    lines = [
        f"{one['id']}  {plain(one['guest'])} wants {plain(one['exposed'])}, "
        f"{one['seconds_left']}s left"
    ]
    lines += [
        f"  {plain(key)} = {_json(value)}" for key, value in one["arguments"].items()
    ]
    lines.append(f"  arguments {one['digest'][:16]}, tool {one['definition'][:16]}")
    return "\n".join(lines)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)
