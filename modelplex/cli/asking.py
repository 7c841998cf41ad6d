"""What the commands share that ask a running modelplex."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from modelplex.config import Config, load
from modelplex.control.client import ControlError, NotThere, ask
from modelplex.control.path import control_path
from modelplex.errors import ConfigError
from modelplex.mcp.hygiene import Hygiene

visible = Hygiene("mark")
DEFAULT_SOCKET = "./modelplex.socket"


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``: the answer as it came."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def configured(
    args: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[str, Config]:
    """
    The main socket and the configuration, which need not exist.

    The socket is the one of ``-s``, of the environment or of the configuration.
    """
    socket = args.socket or environ.get("SOCKET_PATH")
    config = Config()
    try:
        config = load(args.config, environ)
        socket = socket or config.server.socket
    except ConfigError:
        pass  # asking needs no configuration
    return socket or DEFAULT_SOCKET, config


def answer(
    args: argparse.Namespace,
    environ: Mapping[str, str],
    route: str,
    body: Any = None,
    gone: str = "",
) -> Any:
    """
    What the running modelplex answers, or ``None`` when it was told why not.

    :param body: JSON to be posted; ``None`` only looks.
    :param gone: what to say when what the route names does not exist.
    """
    socket, config = configured(args, environ)
    path = control_path(socket, config.server.control, environ)
    try:
        return ask(path, route, socket, body)
    except NotThere as e:
        print(f"modelplex: {gone or e}", file=sys.stderr)
        return None
    except ControlError as e:
        print(f"modelplex: {e}", file=sys.stderr)
        return None


def plain(text: str) -> str:
    """
    `text` of a guest or a tool server on one line of a terminal.

    What a terminal acts on, or a reader does not see, is shown as what it is.
    """
    shown = visible.text(text)
    return "".join(" " if char in "\t\r\n" else char for char in shown)


def table(rows: Sequence[Sequence[str]]) -> str:
    """`rows`, the first of them the headings, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
