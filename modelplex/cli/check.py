"""``modelplex check``: would it work? All that is configured is asked, and stopped."""

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
from modelplex.interfaces import IModelProvider, IToolServer


@frozen
class Finding:
    """What asking one provider, or tool server, showed."""

    name: str
    type: str
    ok: bool
    ms: int
    said: str


def run(args: argparse.Namespace, environ: Mapping[str, str], stdout: TextIO) -> int:
    """Print a table; 1 if the configuration, a provider or a tool server fails."""
    try:
        config = load(args.config, environ)
    except ConfigError as e:
        for problem in e.problems:
            print(f"modelplex: {problem}", file=sys.stderr)
        return 1
    findings: list[Finding] = []

    async def checked(reactor: Any) -> None:
        findings.extend(await check(config, reactor, environ))

    from twisted.internet.task import react

    try:
        react(lambda reactor: Deferred.fromCoroutine(checked(reactor)))
    except SystemExit as e:
        if e.code:
            raise
    rows = [("NAME", "TYPE", "RESULT", "MS", "DETAIL")]
    rows += [
        (f.name, f.type, "ok" if f.ok else "FAILED", str(f.ms), f.said)
        for f in findings
    ]
    rows += [(d.name, "-", "FAILED", "-", d.reason) for d in config.disabled]
    print(table(rows), file=stdout)
    for warning in config.warnings:
        print(f"warning: {warning}", file=stdout)
    good = bool(findings) and all(f.ok for f in findings) and not config.disabled
    return 0 if good else 1


async def check(
    config: Config, reactor: Any, environ: Mapping[str, str]
) -> list[Finding]:
    """Ask every provider, with every key, and every tool server, at the same time."""
    from modelplex.graph import providers_of
    from modelplex.mcp.guardian import Guardian
    from modelplex.toolgraph import servers_of

    asking = [
        Deferred.fromCoroutine(_asked(one, provider, reactor))
        for one in config.providers
        for provider in providers_of(one, reactor, config.server.max_response_size)
    ]
    guardian = Guardian(reactor)
    if config.mcp.enabled:
        servers = servers_of(config, reactor, environ, guardian, once=True)
        asking += [Deferred.fromCoroutine(_tools(one, reactor)) for one in servers]
    try:
        return list(await gatherResults(asking, consumeErrors=True))
    finally:
        await guardian.stop()


async def _tools(server: IToolServer, reactor: Any) -> Finding:
    started = reactor.seconds()
    try:
        tools = len((await server.refresh()).tools)
        ok, said = True, f"{tools} tool{'s' * (tools != 1)}"
    except GatewayError as e:
        ok, said = False, server.status.why or e.message
    finally:
        await server.stop()
    ms = round((reactor.seconds() - started) * 1000)
    return Finding(server.name, "tools", ok, ms, said)


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
