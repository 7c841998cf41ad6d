"""The ``modelplex`` command: which subcommand runs, and its exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from modelplex import __version__

# What is asked of no configuration, and of no socket.
_ALONE = ("init", "demo")

# A subcommand's module is imported when it runs, so that each starts quickly.
COMMANDS = {
    "serve": "serve on the socket in the foreground (what happens without a command)",
    "init": "write a commented config.toml for the keys found in the environment",
    "check": "validate the configuration and ask every provider; exit 1 on a failure",
    "demo": "show what it does, with no key and no network",
    "status": "how a running modelplex is doing",
    "models": "the targets of a running modelplex and how each stands",
    "tools": "the tool servers of a running modelplex; accept definitions, restart one",
    "approve": "let calls of tools through that wait for you, or deny them",
    "log": "the record of the calls of tools; verify that nothing is missing from it",
}


def parser(command: str | None) -> argparse.ArgumentParser:
    """The parser for `command`, or for the command without a subcommand."""
    if command is None:
        listed = "\n".join(f"  {name:<8} {text}" for name, text in COMMANDS.items())
        made = argparse.ArgumentParser(
            prog="modelplex",
            usage="modelplex [-c FILE] [-s PATH] [-v] [--version] [COMMAND …]",
            description="Every model of the host, served to an isolated agent on one "
            "Unix socket. Without a command it serves.",
            epilog=f"commands, each with its own -h:\n{listed}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument(
            "--version", action="version", version=f"modelplex {__version__}"
        )
    else:
        made = argparse.ArgumentParser(
            prog=f"modelplex {command}", description=f"{COMMANDS[command]}."
        )
    if command in _ALONE:
        return made
    made.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=os.environ.get("CONFIG_FILE") or "config.toml",
        help="configuration file (default: $CONFIG_FILE, or config.toml)",
    )
    made.add_argument(
        "-s",
        "--socket",
        metavar="PATH",
        default=None,
        help="main socket (default: $SOCKET_PATH, or the one of the configuration)",
    )
    made.add_argument(
        "-v", "--verbose", action="store_true", help="log every attempt at a provider"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :returns: 0 ok, 1 failed; 2 for wrong usage comes from the parser.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command, words = _split(words)
    name = command or "serve"
    module = importlib.import_module(f"modelplex.cli.{name}")
    made = parser(command)
    if hasattr(module, "add_arguments"):
        module.add_arguments(made)
    args = made.parse_args(words)
    try:
        code: int = module.run(args, os.environ, sys.stdout)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """The subcommand, which may follow the common options, and the other words."""
    takes_value = {"-c", "--config", "-s", "--socket"}
    position = 0
    while position < len(words):
        word = words[position]
        if word in COMMANDS:
            return word, words[:position] + words[position + 1 :]
        if not word.startswith("-"):
            break
        position += 2 if word in takes_value else 1
    return None, words


if __name__ == "__main__":
    sys.exit(main())
