"""What the commands share that ask a running modelplex."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from modelplex.config import load
from modelplex.control.client import ControlError, ask
from modelplex.control.path import control_path
from modelplex.errors import ConfigError

DEFAULT_SOCKET = "./modelplex.socket"


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``: the answer as it came."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def answer(args: argparse.Namespace, environ: Mapping[str, str], route: str) -> Any:
    """
    What the running modelplex answers, or ``None`` when it was told why not.

    The main socket is the one of ``-s``, of the environment or of the configuration;
    the latter need not exist.
    """
    socket = args.socket or environ.get("SOCKET_PATH")
    control = None
    try:
        server = load(args.config, environ).server
        control = server.control
        socket = socket or server.socket
    except ConfigError:
        pass  # asking needs no configuration
    socket = socket or DEFAULT_SOCKET
    try:
        return ask(control_path(socket, control, environ), route, socket)
    except ControlError as e:
        print(f"modelplex: {e}", file=sys.stderr)
        return None


def table(rows: Sequence[Sequence[str]]) -> str:
    """`rows`, the first of them the headings, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
