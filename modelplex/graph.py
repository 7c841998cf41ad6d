"""From a configuration to the objects that do the work: built in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen
from twisted.web.resource import IResource

from modelplex.config import Config, Guest, Provider
from modelplex.guests.policy import Policy
from modelplex.interfaces import IModelProvider
from modelplex.providers import anthropic, ollama, openai
from modelplex.providers.address import parse
from modelplex.providers.demo import DemoProvider
from modelplex.providers.http import HttpProvider
from modelplex.providers.plan import Planner
from modelplex.providers.transport import Transport, connect
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.routing.health import Health
from modelplex.routing.table import Offer, RoutingTable
from modelplex.surface.openai import OpenAISurface
from modelplex.surface.root import GuestRoot


@frozen
class Graph:
    """
    Everything that a configuration makes.

    :ivar roots: (guest, its tree of routes) pairs.
    """

    providers: Sequence[IModelProvider]
    table: RoutingTable
    health: Health
    roots: Sequence[tuple[Guest, IResource]] = field(repr=False)

    async def close(self) -> None:
        """Give up every idle connection to upstreams."""
        for provider in self.providers:
            await provider.close()


def build(config: Config, reactor: Any, verbose: bool = False) -> Graph:
    """
    Make the objects for `config`.

    :param reactor: for connections and time.
    :param verbose: log every attempt of every exchange.
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
    roots: list[tuple[Guest, IResource]] = []
    for guest in config.guests:
        policy = Policy(guest.name, tuple(guest.models), frozenset(guest.allow))
        surface = OpenAISurface(
            policy, catalogue, failover, reactor, config.server.keepalive, verbose
        )
        roots.append((guest, GuestRoot(policy, catalogue, surface).resource()))
    return Graph([o.provider for o in offers], table, health, roots)


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
    kind: Any = {"openai": openai, "anthropic": anthropic, "ollama": ollama}[
        config.type
    ]
    transport = connect(
        reactor,
        config.name,
        parse(config.base_url, kind.VERSION),
        config.timeouts.connect,
    )
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
        operations=kind.OPERATIONS,
        planner=_planner(config, transport, headers, reactor, limit),
        headers=headers,
        secrets=tuple(filter(None, [key, *secrets])),
        timeouts=config.timeouts,
        limit=limit,
        clock=reactor,
        models_path=kind.MODELS_PATH,
        model_names=kind.model_names,
    )


def _planner(
    config: Provider,
    transport: Transport,
    headers: tuple[tuple[bytes, bytes], ...],
    reactor: Any,
    limit: int,
) -> Planner:
    match config.type:
        case "openai":
            return openai.OpenAIPlanner(config.stream_usage, limit)
        case "anthropic":
            return anthropic.AnthropicPlanner(
                config.max_tokens, transport, headers, reactor
            )
        case _:
            return ollama.OllamaPlanner(limit)
