"""The way of the modern era: one POST a request, and nothing between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, evolve

from modelplex.mcp.remote_url import RemoteUrl
from modelplex.mcp.remote_wire import (
    ACCEPT_BOTH,
    Deliver,
    StreamLost,
    delivered,
    failure_in,
)
from modelplex.wire.jsonrpc import Answer, Call, Failure, Note, encode
from modelplex.wire.mcp.envelope import VERSION, meta_of
from modelplex.wire.mcp.event_stream import EventReader
from modelplex.wire.mcp.headers import Marked, rendered

_LISTS = {
    "tools": "toolsListChanged",
    "prompts": "promptsListChanged",
    "resources": "resourcesListChanged",
}


@define(eq=False)
class ModernWire:
    """
    See `modelplex.mcp.remote_wire.Wire`.

    :param marks: the arguments of a tool that are repeated in headers.
    """

    _url: RemoteUrl
    _marks: Callable[[str], Sequence[Marked]]
    modern: bool = True

    async def exchange(
        self, call: Call, deliver: Deliver, waiting: Callable[[], bool]
    ) -> int:
        headers = [*ACCEPT_BOTH, *self._headers(call)]
        response = await self._url.ask(b"POST", headers, encode(call))
        if response.code != 200:
            failure = await failure_in(self._url, response, call)
            deliver(evolve(failure, id=call.id))
            return int(response.code)
        await delivered(self._url, response, deliver, waiting, EventReader())
        if waiting():
            raise StreamLost(f"{self._url.name}: its answer ended too early")
        return int(response.code)

    def _headers(self, call: Call) -> list[tuple[bytes, bytes]]:
        name = call.params.get("name")
        tool = call.method == "tools/call" and isinstance(name, str)
        marked = self._marks(str(name)) if tool else ()
        version = str(meta_of(call.params).get(VERSION))
        found = rendered(version, call.method, call.params, marked)
        return [(key.lower().encode(), value.encode("ascii")) for key, value in found]

    async def tell(self, message: Note | Answer | Failure) -> None:
        """There is nothing that a client tells (2026-07-28, Streamable HTTP)."""

    async def listen(self, deliver: Deliver) -> None:
        """What is said unasked, is said to a request; see `Link`."""

    async def close(self) -> None:
        """There is nobody to say goodbye to."""


def news(capabilities: Mapping[str, Any], uris: Iterable[str]) -> dict[str, Any]:
    """What to listen for at a server that has `capabilities`; empty for nothing."""
    wanted: dict[str, Any] = {}
    for capability, kind in _LISTS.items():
        declared = capabilities.get(capability)
        if isinstance(declared, dict) and declared.get("listChanged"):
            wanted[kind] = True
    if known := sorted(uris):
        wanted["resourceSubscriptions"] = known
    return wanted
