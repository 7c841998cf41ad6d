"""What a legacy server is told once, and again when it is met anew."""

from __future__ import annotations

from attrs import define, field
from twisted.logger import Logger

from modelplex.mcp.remote_link import Link
from modelplex.mcp.remote_sse import SseLink
from modelplex.tools import Silent
from modelplex.wire.jsonrpc import INVALID_PARAMS, Params, RpcError

URIS = 1000  # resources that are subscribed to
WHY = 200  # characters of a refusal that are logged
LEVEL = "logging/setLevel"
SUBSCRIBE, UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
REMEMBERED = frozenset((LEVEL, SUBSCRIBE, UNSUBSCRIBE))


@define(eq=False, repr=False)
class Told:
    """
    What one server knows of us.

    :ivar uris: the resources whose changes it is to tell.
    """

    log = Logger()

    _name: str
    uris: set[str] = field(factory=set)
    _level: Params | None = None

    def remember(self, method: str, params: Params) -> None:
        """What a server is told again when it is met anew."""
        uri = params.get("uri")
        match method:
            case "logging/setLevel":
                self._level = params
            case "resources/subscribe" | "resources/unsubscribe":
                if not isinstance(uri, str):
                    raise RpcError(INVALID_PARAMS, "uri: a text is expected")
                if method == UNSUBSCRIBE:
                    self.uris.discard(uri)
                elif len(self.uris) < URIS:
                    self.uris.add(uri)
            case _:
                pass

    async def retell(self, link: Link | SseLink) -> None:
        """Tell a server that has forgotten what it was told."""
        told: list[tuple[str, Params]] = [
            (SUBSCRIBE, {"uri": uri}) for uri in sorted(self.uris)
        ]
        if self._level is not None:
            told.append((LEVEL, self._level))
        for method, params in told:
            try:
                await link.request(method, params, Silent())
            except RpcError as e:
                self.log.warn(
                    "Tool server {name} takes {method} no longer: {why}",
                    name=self._name,
                    method=method,
                    why=e.message[:WHY],
                )
