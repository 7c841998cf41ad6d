"""``modelplex check``: would it work? Every provider is asked, nothing is served."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults

from modelplex.cli.asking import table
from modelplex.config import Config, Provider, load
from modelplex.errors import ConfigError, GatewayError, UpstreamDenied
from modelplex.interfaces import IModelProvider


@frozen
class Finding:
    """What asking one provider showed."""

    provider: str
    type: str
    ok: bool
    ms: int
    said: str


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Print a table; 1 if the configuration or any provider fails."""
    try:
        config = load(args.config, environ)
    except ConfigError as e:
        for problem in e.problems:
            print(f"modelplex: {problem}", file=sys.stderr)
        return 1
    findings: list[Finding] = []

    async def checked(reactor: Any) -> None:
        findings.extend(await check(config, reactor))

    from twisted.internet.task import react

    try:
        react(lambda reactor: Deferred.fromCoroutine(checked(reactor)))
    except SystemExit as e:
        if e.code:
            raise
    rows = [("PROVIDER", "TYPE", "RESULT", "MS", "DETAIL")]
    rows += [
        (f.provider, f.type, "ok" if f.ok else "FAILED", str(f.ms), f.said)
        for f in findings
    ]
    rows += [(d.name, "-", "FAILED", "-", d.reason) for d in config.disabled]
    print(table(rows), file=stdout)
    for warning in config.warnings:
        print(f"warning: {warning}", file=stdout)
    good = bool(findings) and all(f.ok for f in findings) and not config.disabled
    return 0 if good else 1


async def check(config: Config, reactor: Any) -> list[Finding]:
    """Ask every provider, with every key, at the same time."""
    from modelplex.graph import providers_of

    asking = [
        Deferred.fromCoroutine(_asked(one, provider, reactor))
        for one in config.providers
        for provider in providers_of(one, reactor, config.server.max_response_size)
    ]
    return list(await gatherResults(asking, consumeErrors=True))


async def _asked(config: Provider, provider: IModelProvider, reactor: Any) -> Finding:
    started = reactor.seconds()
    try:
        models = await provider.list_models()
        ok, said = _judged(config, models)
    except UpstreamDenied as e:
        ok, said = False, f"the key is refused: {e.told_operator}"
    except GatewayError as e:
        ok, said = False, e.message
    finally:
        await provider.close()
    ms = round((reactor.seconds() - started) * 1000)
    return Finding(provider.concern, config.type, ok, ms, said)


def _judged(config: Provider, models: Any) -> tuple[bool, str]:
    """Whether the models that the configuration names are there, and a word on it."""
    known = set(models)
    names = config.models
    wanted = names.values() if isinstance(names, Mapping) else names
    missing = sorted(n for n in wanted if not set("*?[") & set(n) and n not in known)
    if config.type == "ollama":  # which lists "llama3:latest" and takes "llama3"
        missing = [name for name in missing if f"{name}:latest" not in known]
    if config.type == "azure":  # which lists what could be deployed
        missing = []
    count = f"{len(known)} model{'s' * (len(known) != 1)}"
    if config.type == "demo" or not missing:
        return True, count
    # Providers do not list everything that they serve: told, and no failure.
    return True, f"{count}; not among them: {', '.join(missing)}"
