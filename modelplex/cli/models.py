"""``modelplex models``: the targets of a running modelplex and how each stands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

import msgspec

from modelplex.cli.asking import add_json, answer, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes beside the common options."""
    add_json(parser)


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Print the targets; 1 if nothing runs."""
    targets = answer(args, environ, "/models")
    if targets is None:
        return 1
    if args.json:
        print(msgspec.json.encode(targets).decode(), file=stdout)
        return 0
    rows = [("MODEL", "PROVIDER", "TARGET", "PRIORITY", "HEALTH", "WHY")]
    rows += [
        (
            one["model"],
            one["provider"],
            one["target"],
            str(one["priority"]),
            one["condition"]
            + (f" for {one['seconds_left']}s" if one["seconds_left"] else ""),
            one["why"] or "-",
        )
        for one in targets
    ]
    print(table(rows), file=stdout)
    return 0
