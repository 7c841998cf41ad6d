"""The tools that one guest may offer to a model, and the way to call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from modelplex.mcp.calls import Calls
from modelplex.mcp.guest_view import View
from modelplex.tools import HostTool, Silent
from modelplex.wire.jsonrpc import Result


@define(eq=False)
class ModelTools:
    """
    What a guest sees, called the way all calls are.

    A model cannot be asked anything by a server, and hears of no progress.

    :param view: of all servers, so that names say which one they are of.
    """

    _view: View
    _calls: Calls

    async def offered(self) -> Sequence[HostTool]:
        """All that the guest may use, in the order of its lists."""
        found = await self._view.settled()
        return [
            HostTool(name, offer.server.name, offer.name, offer.shown)
            for name, offer in found.tools.items()
        ]

    async def call(
        self, name: str, arguments: Mapping[str, Any], request_id: str = ""
    ) -> Result:
        """
        Call a tool; see `Calls.call`.

        :param request_id: of the request that the model answers.
        :raises RpcError: there is no such tool, or its server answered so.

        Cancelling cancels the call.
        """
        caller = Silent(self._view.guest, request_id)
        return await self._calls.call(self._view, name, arguments, caller)
