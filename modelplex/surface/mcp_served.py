"""What is spoken about: MCP's methods, as one guest may use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from modelplex.tools import Caller
from modelplex.wire.jsonrpc import Note, Params, Result, RpcError
from modelplex.wire.mcp.envelope import Envelope


class Watching(Protocol):
    """
    What is told of changes, until it is stopped.

    :ivar honoured: what of a modern client's filter is; empty for a legacy one.
    """

    honoured: Mapping[str, Any]

    async def subscribe(self, uri: str, missing: RpcError) -> None:
        """
        Tell a legacy client of changes to a resource, too.

        :raises GatewayError: `missing`, or it cannot be.
        """

    async def unsubscribe(self, uri: str) -> None:
        """
        Do not tell of them any more.

        :raises GatewayError: its server could not be asked.
        """

    def stop(self) -> None:
        """Tell nothing more. May be called more than once."""


class Served(Protocol):
    """
    All servers that one guest may use, or one of them, without a transport.

    :ivar stamp: our ``serverInfo``.
    """

    stamp: Mapping[str, Any]

    @property
    def guest(self) -> str:
        """Whose it is."""

    def initialize(self, params: Params) -> Result:
        """The answer to a legacy client's first request."""

    async def request(
        self, method: str, params: Params, caller: Caller, version: str
    ) -> Result:
        """
        The answer to any request but those that belong to a connection.

        :raises GatewayError: there is none.
        """

    def watch(self, tell: Callable[[Note], None]) -> Watching:
        """Tell a legacy client of every change, and of resources it subscribes to."""

    def listen(
        self, envelope: Envelope, params: Params, tell: Callable[[Note], None]
    ) -> Watching:
        """
        Tell a modern client of the changes it asks for.

        :raises RpcError: it asks for what cannot be.
        """
