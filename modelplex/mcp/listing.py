"""Ask a server for everything it offers, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from attrs import evolve
from twisted.logger import Logger

from modelplex.mcp.handshake import Opened
from modelplex.tools import Listing
from modelplex.wire.jsonrpc import (
    METHOD_NOT_FOUND,
    Params,
    Result,
    RpcError,
    to_json,
)

PAGES = 100  # of one list
ENTRIES = 10_000  # in one list
SIZE = 16 * 2**20  # bytes of one list; a page over it is left out

Asking: TypeAlias = Callable[[str, Params], Awaitable[Result]]
Entries: TypeAlias = tuple[Mapping[str, Any], ...]

#: Field of a `Listing`: the capability, the method, the member, what names an entry.
_LISTS = {
    "tools": ("tools", "tools/list", "tools", "name"),
    "resources": ("resources", "resources/list", "resources", "uri"),
    "templates": (
        *("resources", "resources/templates/list", "resourceTemplates", "uriTemplate"),
    ),
    "prompts": ("prompts", "prompts/list", "prompts", "name"),
}


async def everything(
    name: str, ask: Asking, opened: Opened, before: Listing, log: Logger
) -> Listing:
    """
    What the server offers now.

    A list that it declares and then fails to give is as it was in `before`, so that
    one broken list does not take the others away.

    :param name: the server's, for the log.
    """
    found: dict[str, Entries] = {}
    for kind, (capability, method, member, key) in _LISTS.items():
        found[kind] = ()
        if not isinstance(opened.capabilities.get(capability), dict):
            continue
        try:
            found[kind] = await entries(ask, method, member, key)
        except RpcError as e:
            if e.rpc_code != METHOD_NOT_FOUND:
                found[kind] = getattr(before, kind)
                log.warn(
                    "Tool server {name} does not tell its {kind}: {why}",
                    name=name,
                    kind=kind,
                    why=e.message[:200],
                )
    return evolve(
        before,
        **found,
        capabilities=opened.capabilities,
        instructions=opened.instructions,
    )


async def entries(ask: Asking, method: str, member: str, key: str) -> Entries:
    """
    All entries of one list; of those with the same name the first one.

    It ends at a page that was seen before, and at bounds, because a server may not.

    :raises RpcError: the server answered so.
    """
    found: dict[str, Mapping[str, Any]] = {}
    cursors: set[str] = set()
    params: dict[str, Any] = {}
    size = 0
    for _ in range(PAGES):
        result = await ask(method, params)
        size += len(to_json(result))
        if size > SIZE:
            break
        page = result.get(member)
        for entry in page if isinstance(page, list) else ():
            named = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(named, str) and named and len(found) < ENTRIES:
                found.setdefault(named, entry)
        cursor = result.get("nextCursor")
        # An empty text is a cursor; only its absence is the end (§ pagination).
        if not isinstance(cursor, str) or cursor in cursors:
            break
        cursors.add(cursor)
        params = {"cursor": cursor}
    return tuple(found.values())
