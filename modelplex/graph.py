"""From a configuration to the objects that do the work: built in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen
from twisted.web.resource import IResource

from modelplex.config import Config, Guest, Provider
from modelplex.guests.policy import Policy
from modelplex.interfaces import IModelProvider
from modelplex.outbound.address import parse, plain
from modelplex.outbound.transport import Transport, connect
from modelplex.providers import anthropic, azure, gemini, ollama, openai
from modelplex.providers.credentials import Credentials
from modelplex.providers.demo import DemoProvider
from modelplex.providers.entra import EntraCredentials
from modelplex.providers.http import HttpProvider
from modelplex.providers.plan import Planner
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.routing.health import Health
from modelplex.routing.table import Offer, RoutingTable
from modelplex.surface.channel import GuestChannel
from modelplex.surface.exchanges import Exchanges
from modelplex.surface.mcp_line import LineTalk
from modelplex.surface.relays import Relays
from modelplex.surface.root import GuestRoot
from modelplex.surface.tool_rounds import ToolRounds
from modelplex.toolgraph import ToolGraph, build_tools
from modelplex.wire.asked import Operation

_KINDS: dict[str, Any] = {
    "anthropic": anthropic,
    "azure": azure,
    "gemini": gemini,
    "ollama": ollama,
    "openai": openai,
}


@frozen
class Door:
    """
    What is behind one guest's socket.

    :ivar root: its tree of routes.
    :ivar lines: what is spoken without HTTP; ``None`` for nothing.
    """

    guest: Guest
    root: IResource = field(repr=False)
    lines: Callable[[GuestChannel], LineTalk] | None = None


@frozen
class Graph:
    """
    Everything that a configuration makes.

    :ivar tools: ``None`` when there are no tool servers.
    """

    providers: Sequence[IModelProvider]
    table: RoutingTable
    health: Health
    doors: Sequence[Door] = field(repr=False)
    tools: ToolGraph | None = None

    async def close(self) -> None:
        """End every tool server, and give up idle connections to upstreams."""
        if self.tools is not None:
            await self.tools.stop()
        for provider in self.providers:
            await provider.close()


def build(
    config: Config,
    reactor: Any,
    verbose: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Graph:
    """
    Make the objects for `config`.

    :param reactor: for connections, processes and time.
    :param verbose: log every attempt of every exchange.
    :param environ: our own environment, of which tool servers get very little.
    :raises StorageError: what is remembered of tools cannot be read or kept.
    """
    limit = config.server.max_response_size
    offers = [
        Offer.of(provider, one.models, one.priority, one.weight, one.timeouts.total)
        for one in config.providers
        for provider in providers_of(one, reactor, limit)
    ]
    table, health = RoutingTable(offers), Health()
    catalogue = Catalogue(table, reactor)
    failover = Failover(health, reactor)
    tools = build_tools(config, reactor, environ or {})
    doors: list[Door] = []
    for guest in config.guests:
        policy = Policy(guest.name, tuple(guest.models), frozenset(guest.allow))
        part = None if tools is None else tools.part_of(guest)
        rounds = None
        if part is not None:
            rounds = ToolRounds(part.offered, failover, reactor)
        exchanges = Exchanges(
            policy,
            catalogue,
            failover,
            reactor,
            config.server.keepalive,
            verbose,
            rounds=rounds,
        )
        relays = Relays(policy, catalogue, failover, reactor, verbose)
        ways = None if part is None else part.tools
        root = GuestRoot(exchanges, relays, ways).resource()
        doors.append(Door(guest, root, None if ways is None else ways.lines))
    return Graph([o.provider for o in offers], table, health, doors, tools)


def providers_of(
    config: Provider, reactor: Any, limit: int
) -> Sequence[IModelProvider]:
    """The provider of a configuration, once for each of its keys."""
    if config.type == "demo":
        timeouts = config.timeouts
        return [DemoProvider(config.name, config.demo, reactor, timeouts.first_byte)]
    keys: list[str | None] = [key.reveal() for key in config.api_keys]
    keys = keys or [None]
    return [
        _over_http(config, key, number if len(keys) > 1 else 0, reactor, limit)
        for number, key in enumerate(keys, 1)
    ]


def _over_http(
    config: Provider, key: str | None, number: int, reactor: Any, limit: int
) -> IModelProvider:
    kind: Any = _KINDS[config.type]
    where = (
        azure.address(config.base_url, config.api_version)
        if config.type == "azure"
        else parse(config.base_url, kind.VERSION)
    )
    transport = connect(reactor, config.name, where, config.timeouts.connect)
    headers = (
        *kind.headers(key),
        *(
            (name.lower().encode("ascii"), value.reveal().encode("utf-8"))
            for name, value in config.headers.items()
        ),
    )
    secrets = [value.reveal() for value in config.headers.values()]
    return HttpProvider(
        name=config.name,
        concern=f"{config.name}#{number}" if number else config.name,
        transport=transport,
        operations=_operations(config),
        planner=_planner(config, transport, headers, reactor, limit),
        headers=headers,
        secrets=tuple(filter(None, [key, *secrets])),
        timeouts=config.timeouts,
        limit=limit,
        clock=reactor,
        models_path=kind.MODELS_PATH,
        model_names=kind.model_names,
        decode_error=kind.decode_error,
        credentials=_credentials(config, reactor),
    )


def _operations(config: Provider) -> frozenset[Operation]:
    operations: frozenset[Operation] = _KINDS[config.type].OPERATIONS
    if config.type == "openai" and config.api == "responses":
        return operations | {Operation.COUNT_TOKENS, Operation.COMPACT}
    return operations


def _credentials(config: Provider, reactor: Any) -> Credentials | None:
    """What has to be fetched before the first request."""
    if config.entra is None:
        return None
    name = f"{config.name} (its authority)"
    where = plain(config.entra.authority)
    transport = connect(reactor, name, where, config.timeouts.connect)
    return EntraCredentials(config.name, config.entra, transport, reactor)


def _planner(
    config: Provider,
    transport: Transport,
    headers: tuple[tuple[bytes, bytes], ...],
    reactor: Any,
    limit: int,
) -> Planner:
    responses = config.api == "responses"
    match config.type:
        case "openai":
            return openai.OpenAIPlanner(config.stream_usage, limit, responses)
        case "azure":
            deployments = config.api_version is not None
            return azure.planner(deployments, config.stream_usage, limit, responses)
        case "anthropic":
            return anthropic.AnthropicPlanner(
                config.max_tokens, limit, transport, headers, reactor
            )
        case "gemini":
            return gemini.GeminiPlanner(limit)
        case _:
            return ollama.OllamaPlanner(limit)
