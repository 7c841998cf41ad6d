"""From the configuration to what each guest may do with tools: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from attrs import define, evolve, field

from modelplex.guests.arguments import Checked, Refused, Rule, Rules, checked
from modelplex.guests.arguments import listed_schema as without_hidden
from modelplex.guests.places import Realpath
from modelplex.guests.tools import ServerGrants, ToolPolicy, matches
from modelplex.mcp.names import plain
from modelplex.settings import Argument, Guest, McpServer

_MOST = 4096  # tools whose rules are remembered


def policy_of(guest: Guest, servers: Iterable[McpServer]) -> ToolPolicy:
    """Which tools a guest may use."""
    return ToolPolicy(
        guest.name,
        tools=guest.tools,
        ask=guest.ask,
        read_only=guest.read_only,
        servers={
            one.name: ServerGrants(**msgspec.structs.asdict(one.tools))
            for one in servers
        },
    )


@define(eq=False)
class ArgumentRules:
    """
    What the arguments of one guest's calls must be like, on every server.

    A guest's own rules name tools as ``server__tool``, and hold on top of the server's.
    """

    _guest: tuple[Rule, ...]
    _servers: Mapping[str, Rules]
    _none: Rules
    _known: dict[tuple[str, str], Rules] = field(factory=dict, init=False)

    @classmethod
    def of(
        cls, guest: Guest, servers: Iterable[McpServer], realpath: Realpath
    ) -> ArgumentRules:
        """:param realpath: resolves links, as ``os.path.realpath``."""
        rules = {
            one.name: Rules(
                _rules(one.rules),
                realpath=realpath,
                start=one.cwd,
                schema=one.check_arguments,
            )
            for one in servers
        }
        return cls(_rules(guest.rules), rules, Rules(realpath=realpath))

    def check(
        self, server: str, tool: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Checked | Refused:
        """
        Judge the arguments of a call.

        :param tool: the server's own definition.
        """
        rules = self._of(server, str(tool.get("name", "")))
        schema = tool.get("inputSchema")
        if not isinstance(schema, Mapping):
            schema = {"type": "object"}
        return checked(schema, arguments, rules)

    def listed(self, server: str, tool: Mapping[str, Any]) -> Mapping[str, Any]:
        """The definition without the arguments that the guest does not see."""
        schema = tool.get("inputSchema")
        if not isinstance(schema, Mapping):
            return tool
        seen = without_hidden(schema, self._of(server, str(tool.get("name", ""))))
        return tool if seen is schema else {**tool, "inputSchema": seen}

    def _of(self, server: str, name: str) -> Rules:
        known = self._known.get((server, name))
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._servers.get(server, self._none).of(name)
            names = {plain(server, name), f"{server}__{name}"}
            own = [
                evolve(rule, tools=("*",))
                for rule in self._guest
                if any(matches(rule.tools, one) for one in names)
            ]
            known = self._known[server, name] = known.with_rules(own)
        return known


def _rules(rules: Iterable[Argument]) -> tuple[Rule, ...]:
    return tuple(Rule(**msgspec.structs.asdict(one)) for one in rules)
