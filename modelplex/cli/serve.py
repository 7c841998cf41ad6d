"""``modelplex`` and ``modelplex serve``: the service in the foreground."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping
from typing import TextIO

from modelplex.errors import ConfigError, StartError
from modelplex.observability import logging


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Serve until a signal; 1 if it cannot start."""
    from modelplex.tap import configured

    try:
        config = configured(args.config, args.socket, dict(environ))
    except ConfigError as e:
        for problem in e.problems:
            print(f"modelplex: {problem}", file=sys.stderr)
        return 1
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from modelplex.service import ModelplexService
    from modelplex.signals import on_second_signal

    level = "debug" if args.verbose else config.server.log_level
    logging.start(sys.stderr, config.server.log_format, level)
    service = ModelplexService(
        config,
        reactor,
        environ,
        verbose=level == "debug",
        while_draining=on_second_signal(reactor),
    )
    try:
        service.startService()
    except StartError as e:
        print(f"modelplex: {e}", file=sys.stderr)
        return 1
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(service.stopService())
    )
    # What is there by now stays. A collection that went through all of it would take
    # 50 ms (measured 2026-11-25), and every guest would wait for it.
    gc.collect()
    gc.freeze()
    reactor.run()
    return 0
