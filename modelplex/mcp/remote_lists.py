"""What a remote server offers, and which arguments of its tools are told in headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field
from twisted.logger import Logger

from modelplex.mcp.listing import everything
from modelplex.mcp.remote_link import Link
from modelplex.mcp.remote_sse import SseLink
from modelplex.tools import Listing
from modelplex.wire.mcp.headers import Marked, marked

WHY = 200  # characters of a name or a mistake that are logged


@define(eq=False, repr=False)
class Lists:
    """The lists of one server, as far as they matter for asking it."""

    log = Logger()

    _name: str
    _marks: Mapping[str, Sequence[Marked]] = field(factory=dict)

    async def read(self, link: Link | SseLink, before: Listing) -> Listing:
        """
        Ask for everything that the server offers.

        :raises ToolServerError: it cannot be asked.
        """
        found = await everything(self._name, link.ask, link.agreed, before, self.log)
        if not link.agreed.modern:
            self._marks = {}
            return found
        tools, marks = [], {}
        for tool in found.tools:
            schema = tool.get("inputSchema")
            try:
                marks[tool["name"]] = marked(schema if isinstance(schema, dict) else {})
            except ValueError as e:
                # 2026-07-28, x-mcp-header: a client must leave such a tool out.
                self.log.warn(
                    "Tool server {name}: its tool {tool} is left out: {why}",
                    name=self._name,
                    tool=tool["name"][:WHY],
                    why=str(e)[:WHY],
                )
            else:
                tools.append(tool)
        self._marks = marks
        return evolve(found, tools=tuple(tools))

    def marked(self, tool: str) -> Sequence[Marked]:
        """The arguments of `tool` that are repeated in headers."""
        return self._marks.get(tool, ())
