"""From ``[mcp]`` of a configuration to tool servers and each guest's part of them."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from secrets import token_bytes
from time import time
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.logger import Logger

from modelplex import __version__
from modelplex.config import Config, Guest
from modelplex.interfaces import IToolServer
from modelplex.mcp.approvals import Approvals, shown
from modelplex.mcp.call_rules import CallRules, Made
from modelplex.mcp.calls import Calls
from modelplex.mcp.child import ChildServer, spawning
from modelplex.mcp.child_settings import (
    ChildSettings,
    ProcessLimits,
    RestartSettings,
)
from modelplex.mcp.endpoint import Endpoint
from modelplex.mcp.for_models import ModelTools
from modelplex.mcp.granted import ArgumentRules, policy_of
from modelplex.mcp.guardian import Guardian
from modelplex.mcp.guest_rules import GuestRules
from modelplex.mcp.hygiene import Hygiene
from modelplex.mcp.limits import Limit, Limits
from modelplex.mcp.masking import Mask
from modelplex.mcp.names import plain
from modelplex.mcp.parking import Parking
from modelplex.mcp.pinning import Pinning, remembered
from modelplex.mcp.registry import Registry, not_noted
from modelplex.mcp.remote import RemoteServer
from modelplex.mcp.remote_making import remote_server
from modelplex.mcp.remote_settings import OAuthSettings, RemoteSettings
from modelplex.secret import Secret
from modelplex.settings import McpServer
from modelplex.storage.audit import AuditLog
from modelplex.storage.definitions import Definitions, definition_hash
from modelplex.storage.files import make_private
from modelplex.storage.place import DEFINITIONS, audit_file, state_folder
from modelplex.surface.tools import GuestTools

_INFO = {"name": "modelplex", "version": __version__}
#: Variables whose values are secrets wherever they turn up; others, such as folders,
#: are what tools answer with.
_SECRET = re.compile(r"(?i)KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")


@frozen
class GuestPart:
    """
    What one guest has of the tools.

    :ivar tools: for its own programs.
    :ivar offered: for the models that it asks.
    """

    tools: GuestTools
    offered: ModelTools


@define(eq=False, repr=False)
class ToolGraph:
    """
    Every tool server of a configuration; also what the operator can do about them.

    :ivar folder: of what is remembered of the servers.
    :ivar definitions: ``None`` when definitions are not pinned.
    """

    folder: str
    servers: Sequence[IToolServer]
    registry: Registry
    _approvals: Approvals
    _config: Config
    _clock: Any
    _guardian: Guardian
    _hygiene: Hygiene
    definitions: Definitions | None = None
    audit: AuditLog | None = None
    _parking: Parking = field(init=False)
    _limits: Limits = field(init=False)
    _parts: list[GuestPart] = field(factory=list, init=False)
    _calls: dict[str, list[int]] = field(factory=dict, init=False)  # all, and failed
    log = Logger()

    def __attrs_post_init__(self) -> None:
        rates = {
            one.name: Limit(per_minute=one.limits.calls_per_minute or 0)
            for one in self._config.mcp.servers
        }
        self._limits = Limits(lambda server, tool: rates[server], self._clock)
        self._parking = Parking(self._clock, token_bytes(32))

    def part_of(self, guest: Guest) -> GuestPart:
        """What `guest` has of the tools."""
        configured = self._config.mcp.servers
        policy = policy_of(guest, configured)
        rules = GuestRules(
            guest.name,
            ArgumentRules.of(guest, configured, os.path.realpath),
            self._hygiene,
            self._approvals,
            {one.name: one.limits.result_size for one in configured},
            self.definitions,
            self.audit,
            self._config.audit.shown,
        )
        calls = Calls(self._counted(rules.call_rules()), self._limits, self._clock)

        def endpoint(server: str | None) -> Endpoint:
            view = self.registry.view(policy, server, rules.shown)
            return Endpoint(view, calls, self._parking, _INFO, self._hygiene.text)

        every = endpoint(None)
        single = {
            one.name: endpoint(one.name)
            for one in self.servers
            if policy.sees(one.name)
        }
        part = GuestPart(
            GuestTools(
                lambda name: every if name is None else single.get(name), self._clock
            ),
            ModelTools(every.view, calls),
        )
        self._parts.append(part)
        return part

    async def stop(self) -> None:
        """End every server and everything that waits; returns when nothing is left."""
        self._approvals.stop()
        self._parking.stop()
        for part in self._parts:
            part.tools.close()
        await self.registry.stop()
        for server in self.servers:
            await server.stop()
        await self._guardian.stop()
        if self.audit is not None:
            self.audit.close()

    # --- what the operator sees and does: `modelplex.control.tools.ToolsControl`

    def tools(self) -> list[dict[str, Any]]:
        """See `modelplex.control.tools.ToolsControl`."""
        return [self._shown(server) for server in self.servers]

    def accept(self, server: str, tool: str | None, hash: str | None) -> list[str]:
        """See `modelplex.control.tools.ToolsControl`."""
        found = self._server(server)
        if self.definitions is None:
            return []
        accepted = self.definitions.accept(server, tool, hash)
        self.registry.changed(found)
        return accepted

    def restart(self, server: str) -> None:
        """See `modelplex.control.tools.ToolsControl`."""
        self._server(server).restart()

    def approvals(self) -> list[dict[str, Any]]:
        """See `modelplex.control.tools.ToolsControl`."""
        now = self._clock.seconds()
        return [shown(one, now) for one in self._approvals.waiting()]

    def approve(self, id: str) -> bool:
        """See `modelplex.control.tools.ToolsControl`."""
        return self._approvals.approve(id)

    def deny(self, id: str, why: str) -> bool:
        """See `modelplex.control.tools.ToolsControl`."""
        return self._approvals.deny(id, why)

    # --- details

    def _server(self, name: str) -> IToolServer:
        for server in self.servers:
            if server.name == name:
                return server
        raise KeyError(name)

    def _counted(self, rules: CallRules) -> CallRules:
        def record(made: Made) -> str:
            if made.offer is not None:
                counts = self._calls.setdefault(made.offer.server.name, [0, 0])
                counts[0] += 1
                counts[1] += made.outcome != "ok"
                self.log.info(
                    "{request_id} {guest} {tool} {outcome} {total_ms}ms",
                    event="tool_call",
                    request_id=made.request_id,
                    guest=made.guest,
                    tool=made.offer.exposed,
                    outcome=made.outcome,
                    total_ms=round(made.seconds * 1000),
                )
            return rules.record(made)

        return CallRules(rules.check, rules.approve, rules.clean, record)

    def _shown(self, server: IToolServer) -> dict[str, Any]:
        status = server.status
        calls, errors = self._calls.get(server.name, [0, 0])
        waiting = {}
        if self.definitions is not None:
            found = self.definitions.quarantined(server.name)
            waiting = {one.tool: one for one in found}
        tools = []
        for tool in server.listing.tools:
            name = str(tool.get("name", ""))
            standing = waiting.get(name)
            tools.append(
                {
                    "name": self._hygiene.text(name),
                    "exposed": plain(server.name, name),
                    "standing": standing.standing.value if standing else "trusted",
                    "changed": list(standing.changed) if standing else [],
                    "hash": definition_hash(tool),
                }
            )
        return {
            "name": server.name,
            "state": status.state.value,
            "why": status.why,
            "version": status.version,
            "pid": status.pid,
            "restarts": status.restarts,
            "in_flight": status.in_flight,
            "calls": calls,
            "errors": errors,
            "tools": tools,
        }


def kept_by_tools(
    config: Config, environ: Mapping[str, str]
) -> Sequence[tuple[str, str]]:
    """(path, what it is) of all that is kept about tools, if there are any."""
    mcp = config.mcp
    if not mcp.enabled or not mcp.servers:
        return ()
    folder = state_folder(config.server.socket, mcp.state, environ)
    log = audit_file(folder, config.audit.file)
    return (folder, "what is remembered of tools"), (log, "the record of their calls")


def build_tools(
    config: Config, reactor: Any, environ: Mapping[str, str]
) -> ToolGraph | None:
    """
    Make the tool servers of `config`; ``None`` when it has none. Nothing is started.

    :raises StorageError: what is remembered of them cannot be read or kept.
    :raises ConfigError: a server's URL is not safe to ask.
    """
    mcp = config.mcp
    if not mcp.enabled or not mcp.servers:
        return None
    log = ToolGraph.log

    def report(trouble: str) -> None:
        log.error("{trouble}", trouble=trouble)

    guardian = Guardian(reactor)
    servers = servers_of(config, reactor, environ, guardian)
    folder = state_folder(config.server.socket, mcp.state, environ)
    make_private(folder)
    definitions = None
    if mcp.pin:
        definitions = Definitions.opened(os.path.join(folder, DEFINITIONS), report)
    audit = None
    if config.audit.enabled:
        audit = AuditLog.opened(
            audit_file(folder, config.audit.file),
            time,
            report,
            sync=config.audit.sync,
            max_size=config.audit.max_size,
            keep=config.audit.keep,
        )
    if definitions is not None:
        for server in servers:
            server.listing = remembered(definitions, server.name)
    noted = not_noted if definitions is None else Pinning(definitions).changed
    return ToolGraph(
        folder,
        servers,
        Registry(servers, reactor, noted),
        Approvals(reactor, mcp.approval_timeout, mcp.max_waiting),
        config,
        reactor,
        guardian,
        Hygiene(mcp.hygiene, Mask.of(secrets_of(config))),
        definitions,
        audit,
    )


def servers_of(
    config: Config,
    reactor: Any,
    environ: Mapping[str, str],
    guardian: Guardian,
    *,
    once: bool = False,
) -> Sequence[ChildServer | RemoteServer]:
    """
    The tool servers of `config`, none started.

    :param once: a child that ended is not started again.
    :raises ConfigError: a server's URL is not safe to ask.
    """
    spawn = spawning(reactor, environ, guardian)
    servers: list[ChildServer | RemoteServer] = []
    for one in config.mcp.servers:
        if one.url is not None:
            servers.append(remote_server(remote_settings(one), reactor, _INFO))
            continue
        settings = child_settings(one)
        if once:
            settings = evolve(settings, restarts=RestartSettings(times=1))
        servers.append(ChildServer(settings, reactor, spawn, _INFO, random.random))
    return servers


def child_settings(one: McpServer) -> ChildSettings:
    """A configured command, as a child is started."""
    assert one.command is not None
    limits = one.limits
    return ChildSettings(
        name=one.name,
        command=(one.command, *one.args),
        env=one.env,
        cwd=one.cwd,
        wrapper=one.wrapper,
        protocol=one.protocol,
        interactive=one.interactive,
        guest_roots=one.guest_roots,
        roots=tuple(os.path.abspath(root) for root in one.roots),
        timeout=one.timeout,
        timeout_cap=one.timeout_cap,
        concurrency=limits.concurrency,
        restarts=RestartSettings(
            one.restarts.first,
            one.restarts.most,
            one.restarts.times,
            one.restarts.stable,
        ),
        limits=ProcessLimits(
            limits.memory,
            None if limits.cpu is None else max(1, round(limits.cpu)),
            limits.files,
            limits.processes,
        ),
    )


def remote_settings(one: McpServer) -> RemoteSettings:
    """A configured URL, as it is asked."""
    assert one.url is not None
    oauth = None
    if one.oauth is not None:
        oauth = OAuthSettings(
            one.oauth.client_id,
            one.oauth.client_secret,
            one.oauth.scope,
            one.oauth.issuer or "",
        )
    return RemoteSettings(
        name=one.name,
        url=one.url,
        headers=one.headers,
        oauth=oauth,
        plain_http=one.plain_http,
        protocol=one.protocol,
        interactive=one.interactive,
        roots=tuple({"uri": f"file://{os.path.abspath(r)}"} for r in one.roots),
        timeout=one.timeout,
        timeout_cap=one.timeout_cap,
        concurrency=one.limits.concurrency,
    )


def secrets_of(config: Config) -> Iterator[Secret]:
    """What no guest may see of what tools say."""
    for provider in config.providers:
        yield from provider.api_keys
        yield from provider.headers.values()
        if provider.entra is not None:
            yield provider.entra.client_secret
    for server in config.mcp.servers:
        yield from server.headers.values()
        yield from (v for name, v in server.env.items() if _SECRET.search(name))
        if server.oauth is not None:
            yield server.oauth.client_secret
