"""``twistd modelplex``: the options, and the service they make."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from attrs import define
from msgspec.structs import replace
from twisted.application.service import IService
from twisted.python import usage

from modelplex import __version__
from modelplex.config import Config, load
from modelplex.errors import ConfigError, StartError
from modelplex.service import ModelplexService
from modelplex.signals import on_second_signal

DEFAULT_CONFIG = "config.toml"


class Options(usage.Options):
    """What ``twistd modelplex`` takes; the environment sets the defaults."""

    synopsis = "[--config FILE] [--socket PATH] [--verbose]"
    optParameters: ClassVar = [
        ["config", "c", None, f"Configuration file (default: {DEFAULT_CONFIG})."],
        ["socket", "s", None, "Main socket (default: the one of the configuration)."],
    ]
    optFlags: ClassVar = [["verbose", "v", "Log every attempt of every exchange."]]

    def opt_version(self) -> None:
        """Show the version and exit."""
        print(f"modelplex {__version__}")
        sys.exit(0)


def configured(
    config: str | None, socket: str | None, environ: os._Environ[str] | dict[str, str]
) -> Config:
    """
    The configuration to run; flags win over the environment, that over the file.

    :raises ConfigError: it cannot be loaded.
    """
    found = load(config or environ.get("CONFIG_FILE") or DEFAULT_CONFIG, environ)
    path = socket or environ.get("SOCKET_PATH")
    if path:
        found = replace(found, server=replace(found.server, socket=path))
    return found


@define(eq=False, init=False)
class TwistdService(ModelplexService):
    """The service, with a failure to start that twistd shows as one line."""

    def startService(self) -> None:
        """Open every socket, or end the process with status 1 and say why."""
        try:
            super().startService()
        except StartError as e:
            sys.exit(f"modelplex: {e}")


def makeService(options: Options) -> IService:
    """The service for twistd; a configuration with mistakes ends the process."""
    from twisted.internet import reactor

    try:
        config = configured(options["config"], options["socket"], os.environ)
    except ConfigError as e:
        sys.exit("\n".join(f"modelplex: {problem}" for problem in e.problems))
    verbose = bool(options["verbose"]) or config.server.log_level == "debug"
    return TwistdService(
        config,
        reactor,
        os.environ,
        verbose=verbose,
        while_draining=on_second_signal(reactor),
    )
