"""A guest's site with tools and nothing else, put together without a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelplex.guests.policy import Policy
from modelplex.guests.tools import ServerGrants, ToolPolicy
from modelplex.interfaces import IToolServer
from modelplex.mcp.calls import CallRules, Calls
from modelplex.mcp.endpoint import Endpoint
from modelplex.mcp.limits import Limit
from modelplex.mcp.limits import Limits as CallLimits
from modelplex.mcp.parking import Parking
from modelplex.mcp.registry import Registry
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.routing.health import Health
from modelplex.routing.table import RoutingTable
from modelplex.surface.exchanges import Exchanges
from modelplex.surface.paths import route
from modelplex.surface.relays import Relays
from modelplex.surface.root import GuestRoot, render_error
from modelplex.surface.site import GuestSite, Limits
from modelplex.surface.tools import GuestTools

STAMP = {"name": "modelplex", "version": "0"}


def tool_site(tools: GuestTools, clock: Any, limits: Limits) -> GuestSite:
    """A site of a guest who may use `tools` and no model."""
    policy, catalogue = Policy("default"), Catalogue(RoutingTable([]), clock)
    failover = Failover(Health(), clock)
    exchanges = Exchanges(policy, catalogue, failover, clock, 15.0)
    relays = Relays(policy, catalogue, failover, clock, False)
    return GuestSite(
        GuestRoot(exchanges, relays, tools).resource(),
        limits=limits,
        reactor=clock,
        render_error=render_error,
        route=route,
        lines=tools.lines,
    )


def guest_tools(servers: Sequence[IToolServer], clock: Any) -> GuestTools:
    """All tools of `servers`, for a guest who may use them all."""
    registry = Registry(servers, clock)
    names = [server.name for server in servers]
    policy = ToolPolicy("default", servers={name: ServerGrants() for name in names})
    parking = Parking(clock, b"a key of this test")
    calls = Calls(CallRules(), CallLimits(lambda server, tool: Limit(), clock), clock)
    found = {
        name: Endpoint(registry.view(policy, name), calls, parking, STAMP)
        for name in (None, *names)
    }
    return GuestTools(found.get, clock)
