"""
A guest's tools: over MCP in every form, and in plain JSON for those who speak none.

In plain JSON, errors have OpenAI's shape. What a tool says went wrong is its answer,
and no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import BadRequest, GatewayError
from modelplex.surface.channel import GuestChannel
from modelplex.surface.mcp_http import McpHttp
from modelplex.surface.mcp_line import LineTalk
from modelplex.surface.mcp_served import Served
from modelplex.tools import Silent, ToolServerError
from modelplex.wire.jsonobject import open_object
from modelplex.wire.jsonrpc import INVALID_PARAMS, Params, Result, RpcError
from modelplex.wire.mcp.envelope import MISSING_CAPABILITY, SERVER
from modelplex.wire.mcp.revisions import LATEST_MODERN

_PAGES = 100


class UnknownTool(GatewayError):
    """There is no such tool, or not for this guest, who cannot tell which."""

    kind = "unknown_tool"
    status = 404
    code = "tool_not_found"
    should_retry = False


class ToolRefused(BadRequest):
    """A tool was not called."""

    kind = "tool_refused"
    code = "tool_refused"


@define(eq=False)
class GuestTools:
    """
    Every way in which one guest reaches tools.

    :param served: what there is, for the name of a server or for all of them; the same
        at every call, or ``None`` when there is no such server.
    """

    _served: Callable[[str | None], Served | None]
    _clock: IReactorTime
    mcp: McpHttp = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mcp = McpHttp(self._served, self._clock)

    def lines(self, channel: GuestChannel) -> LineTalk:
        """Begin to speak MCP on a connection without HTTP."""
        return LineTalk(channel, self._all)

    async def listed(self) -> Mapping[str, Any]:
        """All tools, as a list of OpenAI's API looks."""
        found: list[Mapping[str, Any]] = []
        params: Params = {}
        for _ in range(_PAGES):
            page = await self._ask("tools/list", params)
            found += page["tools"]
            if "nextCursor" not in page:
                break
            params = {"cursor": page["nextCursor"]}
        return {"object": "list", "data": [_plain(tool) for tool in found]}

    async def call(
        self, name: str, body: bytes, request_id: str = ""
    ) -> Mapping[str, Any]:
        """
        The result of a tool.

        :param body: the arguments, a JSON object; empty for none.
        :raises GatewayError: it was not called, or has not answered.
        """
        arguments: Any = {}
        if body.strip():
            arguments = msgspec.json.decode(open_object(body, "arguments").text)
        asked = {"name": name, "arguments": arguments}
        try:
            result = dict(await self._ask("tools/call", asked, request_id))
        except RpcError as e:
            raise await self._refused(name, e) from None
        result.pop("resultType", None)
        meta = {k: v for k, v in result.pop("_meta", {}).items() if k != SERVER}
        return {**result, "_meta": meta} if meta else result

    def close(self) -> None:
        """End every session."""
        self.mcp.close()

    @property
    def _all(self) -> Served:
        served = self._served(None)
        assert served is not None
        return served

    async def _ask(self, method: str, params: Params, request_id: str = "") -> Result:
        caller = Silent(self._all.guest, request_id)
        return await self._all.request(method, params, caller, LATEST_MODERN)

    async def _refused(self, name: str, error: RpcError) -> GatewayError:
        if error.rpc_code == MISSING_CAPABILITY:
            message = "the tool wants to ask something, which only MCP can"
            return ToolRefused(message, status=422)
        if error.rpc_code != INVALID_PARAMS:
            return ToolServerError(error.message)
        listed = await self.listed()
        if name not in [tool["name"] for tool in listed["data"]]:
            return UnknownTool("there is no such tool")
        return ToolRefused(error.message)


def _plain(tool: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "object": "tool",
        "name": tool["name"],
        "description": tool.get("description", ""),
        "input_schema": tool["inputSchema"],
    }
    for key, name in (
        *(("title", "title"), ("outputSchema", "output_schema")),
        ("annotations", "annotations"),
    ):
        if key in tool:
            found[name] = tool[key]
    return found
