"""Which tools of the host a request offers to its model, and whose a call is: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate

from attrs import evolve, field, frozen

from modelplex.errors import BadRequest
from modelplex.events import Choose, HostTools, Request, ToolChoice
from modelplex.guests.tools import LONGEST
from modelplex.surface.tool_forms import Source, ToolsWanted
from modelplex.tools import HostTool
from modelplex.wire.mcp.for_models import is_tellable, tool_of

_WILD = re.compile(r"[*?\[]")


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
            if tool.name in tools or not is_tellable(tool.definition):
                continue
            if tool.name in theirs:
                raise BadRequest(
                    f"tools: {tool.name!r} is a tool of Modelplex's, too",
                    param=wanted.param,
                )
            tools[tool.name], labels[tool.name] = tool, source.label
    left = frozenset(tool.name for tool in offered) - tools.keys()
    return Toolkit(wanted, tools, labels, theirs, left)


def _of(source: Source, offered: Iterable[HostTool]) -> Iterator[HostTool]:
    names = None if source.names is None else _Names.of(source.names)
    without = _Names.of(source.without)
    for tool in offered:
        if source.server not in (None, tool.server):
            continue
        # Where there is one server only, its own names say which tool is meant, too.
        called = (tool.name,) if source.server is None else (tool.name, tool.own)
        if names is not None and not any(map(names.has, called)):
            continue
        if source.reading and not _reads(tool):
            continue
        if not any(map(without.has, called)):
            yield tool


@frozen
class _Names:
    """
    A guest's globs, most of which are names as they are.

    The patterns that are kept ready for all guests are the operator's; a guest's are
    made for one request.
    """

    exact: frozenset[str]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, globs: Iterable[str]) -> _Names:
        exact = frozenset(globs)
        wild = [glob for glob in exact if _WILD.search(glob)]
        either = "|".join(f"(?:{translate(glob)})" for glob in wild)
        return cls(exact.difference(wild), re.compile(either) if wild else None)

    def has(self, name: str) -> bool:
        if name in self.exact:
            return True
        if self.pattern is None or len(name) > LONGEST:
            return False
        return self.pattern.match(name) is not None


def _reads(tool: HostTool) -> bool:
    hints = tool.definition.get("annotations")
    return isinstance(hints, Mapping) and hints.get("readOnlyHint") is True
