"""Which tools of the host a request offers to its model, and whose a call is: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from modelplex.errors import BadRequest
from modelplex.events import Choose, HostTools, Request, ToolChoice
from modelplex.guests.tools import matches
from modelplex.surface.tool_forms import Source, ToolsWanted
from modelplex.tools import HostTool
from modelplex.wire.mcp.for_models import is_tellable, tool_of


@frozen
class Toolkit:
    """
    The tools of one request that are Modelplex's to run.

    :ivar tools: by the name that the model knows.
    :ivar labels: what the guest calls the server of each.
    :ivar theirs: names of the guest's own tools.
    :ivar left: names of tools that the guest may use and has not offered.
    """

    wanted: ToolsWanted
    tools: Mapping[str, HostTool] = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)
    theirs: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    def is_ours(self, name: str) -> bool:
        """
        Whether a call of `name` is Modelplex's business.

        What a model has made up is the guest's, who knows best; but one without tools
        of its own expects no calls.
        """
        return name in self.tools or not self.theirs

    def label_of(self, name: str) -> str:
        """What the guest calls the server of a tool, or of one that is made up."""
        known = self.labels.get(name)
        first = next(iter(self.wanted.sources), Source())
        return first.label if known is None else known

    def listed(self) -> list[HostTools]:
        """What the guest is told of the tools, if it has not been told."""
        if not self.wanted.shown or self.wanted.listed:
            return []
        return [
            HostTools(
                source.label,
                tuple(
                    {**tool.definition, "name": name}
                    for name, tool in self.tools.items()
                    if self.labels[name] == source.label
                ),
            )
            for source in self.wanted.sources
        ]

    def added_to(self, request: Request) -> Request:
        """
        `request`, with these tools after the guest's own.

        :raises BadRequest: it forces one that is not there.
        """
        added = (tool_of(name, one.definition) for name, one in self.tools.items())
        request = evolve(request, tools=(*request.tools, *added))
        forced = self.wanted.forced
        if forced is None:
            return request
        label, name = forced
        names = tuple(
            known
            for known, tool in self.tools.items()
            if self.labels[known] == label and name in (None, known, tool.own)
        )
        if not names:
            raise BadRequest("tool_choice: there is no such tool", param="tool_choice")
        return evolve(request, tool_choice=ToolChoice(Choose.REQUIRED, names))


def chosen(
    wanted: ToolsWanted, offered: Sequence[HostTool], request: Request
) -> Toolkit:
    """
    Choose among what the guest may use.

    What it may not use, or what is not there, is not missed: it cannot tell which.

    :raises BadRequest: a tool of the guest's own has the name of one of these.
    """
    tools: dict[str, HostTool] = {}
    labels: dict[str, str] = {}
    theirs = frozenset(tool.name for tool in request.tools)
    for source in wanted.sources:
        for tool in _of(source, offered):
            if tool.name in theirs:
                raise BadRequest(
                    f"tools: {tool.name!r} is a tool of Modelplex's, too",
                    param=wanted.param,
                )
            if tool.name not in tools:
                tools[tool.name], labels[tool.name] = tool, source.label
    left = frozenset(tool.name for tool in offered) - tools.keys()
    return Toolkit(wanted, tools, labels, theirs, left)


def _of(source: Source, offered: Iterable[HostTool]) -> Iterator[HostTool]:
    for tool in offered:
        if source.server not in (None, tool.server):
            continue
        if source.names is not None and not _named(source, source.names, tool):
            continue
        if source.reading and not _reads(tool):
            continue
        if not _named(source, source.without, tool) and is_tellable(tool.definition):
            yield tool


def _reads(tool: HostTool) -> bool:
    hints = tool.definition.get("annotations")
    return isinstance(hints, Mapping) and hints.get("readOnlyHint") is True


def _named(source: Source, names: tuple[str, ...], tool: HostTool) -> bool:
    """Where there is one server only, its own names say which tool is meant, too."""
    if matches(names, tool.name):
        return True
    return source.server is not None and matches(names, tool.own)
