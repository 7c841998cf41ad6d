"""``modelplex log``: the record of the calls of tools, and whether it is whole."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from modelplex.cli.asking import add_json, configured, plain
from modelplex.errors import StorageError
from modelplex.storage.auditcheck import files_of, verify
from modelplex.storage.place import audit_file, state_folder

PAUSE = 0.5  # seconds between looks for new lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes beside the common options."""
    add_json(parser)
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "verify"),
        default="show",
        help="show the lines (the default), or verify that none is changed or missing",
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="default: the one of the configuration"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with lines as they come"
    )
    parser.add_argument(
        "--head",
        metavar="HASH",
        help="verify that the line with this hash, noted before, is still in it",
    )


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Show or verify; 1 if it is not whole, or cannot be read."""
    path = args.file or _configured(args, environ)
    if args.action == "verify":
        return _verify(path, args, stdout)
    if not files_of(path) and not args.follow:
        print(f"modelplex: {path}: there is no such log", file=sys.stderr)
        return 1
    for line in _lines(path, args.follow):
        print(line if args.json else _told(line), file=stdout, flush=args.follow)
    return 0


def _configured(args: argparse.Namespace, environ: Mapping[str, str]) -> str:
    socket, config = configured(args, environ)
    folder = state_folder(socket, config.mcp.state, environ)
    return audit_file(folder, config.audit.file)


def _verify(path: str, args: argparse.Namespace, stdout: TextIO) -> int:
    try:
        found = verify(path, args.head)
    except StorageError as e:
        print(f"modelplex: {e}", file=sys.stderr)
        return 1
    if args.json:
        told = {
            "lines": found.lines,
            "ok": found.ok,
            "file": found.file,
            "bad": found.bad,
            "why": found.why,
            "head": found.head.hash,
        }
        print(msgspec.json.encode(told).decode(), file=stdout)
    elif found.ok:
        print(f"ok: {found.lines} lines, head {found.head.hash}", file=stdout)
    else:
        where = f"{found.file}:{found.bad}" if found.bad else found.file
        print(f"{where}: {plain(found.why)}", file=stdout)
        print(f"{found.lines} lines before it are right", file=stdout)
    return 0 if found.ok else 1


def _lines(path: str, follow: bool) -> Iterator[str]:
    """Every line; with `follow` also those to come, over files that are put aside."""
    for file in files_of(path)[:-1]:
        with open(file, encoding="utf-8", errors="replace") as aside:
            yield from (line.rstrip("\n") for line in aside)
    while follow and not os.path.exists(path):
        time.sleep(PAUSE)
    while True:
        with open(path, encoding="utf-8", errors="replace") as log:
            part = ""
            while True:
                part += log.readline()
                if part.endswith("\n"):
                    yield part.rstrip("\n")
                    part = ""
                elif not follow:
                    return
                elif _is_other(path, log):
                    break
                else:
                    time.sleep(PAUSE)


def _is_other(path: str, log: TextIO) -> bool:
    """Whether the log is another file now, and this one has been read to its end."""
    try:
        return os.stat(path).st_ino != os.fstat(log.fileno()).st_ino
    except FileNotFoundError:
        return False


def _told(line: str) -> str:
    """A line of the log in words."""
    try:
        one: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        when = datetime.fromtimestamp(float(one.get("time", 0)), UTC)
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, OSError):
        return f"?  {plain(line[:200])}"
    parts = [
        when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        str(one.get("number", "?")),
        str(one.get("kind", "?")),
        str(one.get("guest", "-")),
        str(one.get("exposed") or one.get("method") or "-"),
        str(one.get("outcome") or one.get("decision") or one.get("why") or "-"),
    ]
    if one.get("rule"):
        parts.append(f"({one['rule']})")
    if "duration_ms" in one:
        parts.append(f"{one['duration_ms']:g}ms" if _is_number(one) else "?ms")
    return plain(" ".join(parts))


def _is_number(one: Mapping[str, Any]) -> bool:
    return isinstance(one["duration_ms"], int | float)
