"""The lists that a client is given, and what a completion is about: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from modelplex.mcp.view import Offer, Offers
from modelplex.wire.jsonrpc import INTERNAL_ERROR, Result, RpcError
from modelplex.wire.mcp.shapes import told_tool

_VALUES = 100  # of a completion

Listed: TypeAlias = Callable[[Offers, str], dict[str, Any]]
"""Makes the list of what a guest may use, for a client of a revision."""


def _tools(offers: Offers, version: str) -> dict[str, Any]:
    found = [told_tool(one.shown, n, version) for n, one in offers.tools.items()]
    return {"tools": found}


def _prompts(offers: Offers, version: str) -> dict[str, Any]:
    return {"prompts": [{**one.shown, "name": n} for n, one in offers.prompts.items()]}


def _shown(
    member: str,
    chosen: Callable[[Offers], Mapping[str, Offer]],
    o: Offers,
    version: str,
) -> dict[str, Any]:
    return {member: [dict(one.shown) for one in chosen(o).values()]}


LISTS: Mapping[str, Listed] = {
    "tools/list": _tools,
    "prompts/list": _prompts,
    "resources/list": partial(_shown, "resources", lambda o: o.resources),
    "resources/templates/list": partial(
        _shown, "resourceTemplates", lambda o: o.templates
    ),
}


def referred(
    offers: Offers, ref: Mapping[str, Any]
) -> tuple[Offer | None, dict[str, Any]]:
    """What a completion is about, and what its server calls that."""
    match ref:
        case {"type": "ref/prompt", "name": str(name)}:
            offer = offers.prompts.get(name)
            return offer, {**ref, "name": "" if offer is None else offer.name}
        case {"type": "ref/resource", "uri": str(uri)}:
            return offers.templates.get(uri) or offers.owner(uri), dict(ref)
    return None, {}


def bounded(result: Result) -> Result:
    """`result` with no more values than a completion has."""
    match result:
        case {"completion": {"values": [*values]} as completion}:
            return {**result, "completion": {**completion, "values": values[:_VALUES]}}
    raise RpcError(INTERNAL_ERROR, "the server's answer is no completion")
