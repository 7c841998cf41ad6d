"""``modelplex status``: how a running modelplex is doing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import timedelta
from typing import TextIO

import msgspec

from modelplex.cli.asking import add_json, answer, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes beside the common options."""
    add_json(parser)


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Print the status; 1 if nothing runs."""
    status = answer(args, environ, "/status")
    if status is None:
        return 1
    if args.json:
        print(msgspec.json.encode(status).decode(), file=stdout)
        return 0
    up = timedelta(seconds=status["uptime_seconds"])
    state = "draining" if status["draining"] else "serving"
    print(
        f"modelplex {status['version']}, process {status['pid']}, {state}, up {up}",
        file=stdout,
    )
    rows = [("GUEST", "SOCKET", "CONNECTIONS", "MODELS", "ALLOW")]
    rows += [
        (
            guest["name"],
            guest["socket"],
            str(guest["connections"]),
            " ".join(guest["models"]),
            " ".join(guest["allow"]) or "-",
        )
        for guest in status["guests"]
    ]
    print(table(rows), file=stdout)
    providers = [("PROVIDER", "TYPE", "PRIORITY")]
    providers += [
        (one["name"], one["type"], str(one["priority"])) for one in status["providers"]
    ]
    print(table(providers), file=stdout)
    for one in status["disabled"]:
        print(f"disabled: {one['name']}: {one['reason']}", file=stdout)
    for warning in status["warnings"]:
        print(f"warning: {warning}", file=stdout)
    return 0
