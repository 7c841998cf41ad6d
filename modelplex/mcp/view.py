"""What one guest may use of all that the servers offer: decided from listings, pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, TypeAlias

from attrs import field, frozen

from modelplex.guests.tools import Decision, ToolPolicy, Verdict
from modelplex.interfaces import IToolServer
from modelplex.mcp.names import Own, assigned, plain
from modelplex.mcp.templates import literal, matches
from modelplex.tools import Listing

Entry: TypeAlias = Mapping[str, Any]


class Kind(Enum):
    """What an entry of a server's lists is."""

    TOOL = 0
    PROMPT = 1
    RESOURCE = 2
    TEMPLATE = 3


Shown: TypeAlias = Callable[[str, Kind, Entry], Entry | None]
"""
How a guest sees an entry of a server's lists, or ``None`` when it may not see it.

Here hidden arguments leave a schema, odd characters are marked, and what has changed
since it was accepted is withheld.
"""

LONGEST = 1024  # characters of a name or a URI
_INSTRUCTIONS = 4096  # characters of one server's advice
_ADVICE = 16_384  # characters of all of it
_RESOURCES = "resources"
_READS = {"readOnlyHint": True}


@frozen
class Offer:
    """
    One thing that a guest may use.

    :ivar name: what its server knows it by: a name, a URI or a template of URIs.
    :ivar exposed: what policies and the operator call it.
    :ivar entry: the server's own definition.
    :ivar shown: the definition as the guest sees it, except for the name.
    """

    server: IToolServer = field(eq=attrgetter("name"))
    name: str
    exposed: str
    entry: Entry = field(repr=False)
    shown: Entry = field(repr=False)
    verdict: Verdict


@frozen
class Names:
    """
    What everything on every server is called: the same for every guest.

    :ivar tools: exposed names by server and own name; the ambiguous have none.
    """

    tools: Mapping[Own, str] = field(factory=dict)
    prompts: Mapping[Own, str] = field(factory=dict)

    @classmethod
    def of(cls, listings: Sequence[tuple[str, Listing]]) -> Names:
        """The names of all that is listed."""
        tools = [(s, name) for s, its in listings for name, _ in _tools(its)]
        prompts = [
            (s, name) for s, its in listings for name, _ in _keyed(its.prompts, "name")
        ]
        return cls(
            {own: name for name, own in assigned(tools).items()},
            {own: name for name, own in assigned(prompts).items()},
        )


@frozen
class Offers:
    """
    Everything a guest may use, by what the guest calls it, in the order of its lists.

    :ivar servers: those of which it may use anything, with their listings.
    """

    tools: Mapping[str, Offer] = field(factory=dict)
    prompts: Mapping[str, Offer] = field(factory=dict)
    resources: Mapping[str, Offer] = field(factory=dict)
    templates: Mapping[str, Offer] = field(factory=dict)
    servers: Sequence[tuple[str, Listing]] = ()

    def owner(self, uri: str) -> Offer | None:
        """What serves `uri`: itself, or else the template that says most about it."""
        found = self.resources.get(uri)
        if found is not None or len(uri) > LONGEST:
            return found
        matching = [one for one in self.templates.values() if matches(one.name, uri)]
        return max(matching, key=lambda one: literal(one.name), default=None)

    def current(self, method: str, name: str) -> Offer | None:
        """What a request is about, if the guest may make it."""
        match method:
            case "tools/call":
                return self.tools.get(name)
            case "prompts/get":
                return self.prompts.get(name)
        return self.owner(name)

    def differences(self, other: Offers) -> frozenset[str]:
        """Which lists a guest would find different: tools, prompts, resources."""
        found = {
            "tools": _seen(self.tools) != _seen(other.tools),
            "prompts": _seen(self.prompts) != _seen(other.prompts),
            "resources": _seen(self.resources) != _seen(other.resources)
            or _seen(self.templates) != _seen(other.templates),
        }
        return frozenset(kind for kind, differs in found.items() if differs)

    def capabilities(self) -> dict[str, Any]:
        """What a client is told that it can ask for."""
        declared = [listing.capabilities for _, listing in self.servers]
        found: dict[str, Any] = {"tools": {"listChanged": True}}
        if self.prompts or any("prompts" in one for one in declared):
            found["prompts"] = {"listChanged": True}
        listed = self.resources or self.templates
        if listed or any("resources" in one for one in declared):
            found["resources"] = {"listChanged": True}
            if any(map(can_subscribe, declared)):
                found["resources"]["subscribe"] = True
        for name in ("completions", "logging"):
            if any(name in one for one in declared):
                found[name] = {}
        return found

    @staticmethod
    def anything() -> dict[str, Any]:
        """The same for servers of which nothing is known: they may have everything."""
        found: dict[str, Any] = {
            kind: {"listChanged": True} for kind in ("tools", "prompts", "resources")
        }
        found["resources"]["subscribe"] = True
        return {**found, "completions": {}, "logging": {}}

    def instructions(self, clean: Callable[[str], str]) -> str:
        """The servers' advice to models, each under its server's name; bounded."""
        told = [
            (name, clean(listing.instructions)[:_INSTRUCTIONS].strip())
            for name, listing in self.servers
        ]
        if len(told) == 1:
            return told[0][1]
        return "\n\n".join(f"## {name}\n{text}" for name, text in told if text)[
            :_ADVICE
        ]


def offers(
    listings: Sequence[tuple[IToolServer, Listing]],
    policy: ToolPolicy,
    shown: Shown,
    names: Names,
    prefixed: bool = True,
) -> Offers:
    """
    What of `listings` is a guest's, in their order and then the servers' own.

    A server's prompts have names like its tools' and fall under the same policy. Its
    resources are the guest's when a tool called ``resources`` would be.

    :param prefixed: whether the guest calls it by those `names`, or as its server does.
    """
    found: dict[Kind, dict[str, Offer]] = {kind: {} for kind in Kind}
    servers: list[tuple[str, Listing]] = []
    for server, listing in listings:
        before = sum(map(len, found.values()))
        for kind, name, exposed, entry in _listed(server.name, listing, names):
            verdict = _verdict(policy, server.name, kind, name, exposed, entry)
            if verdict.decision is Decision.DENY:
                continue
            seen = shown(server.name, kind, entry)
            if seen is not None:
                offer = Offer(server, name, exposed, entry, seen, verdict)
                named = kind in (Kind.TOOL, Kind.PROMPT)
                called = exposed if prefixed and named else name
                found[kind].setdefault(called, offer)
        if sum(map(len, found.values())) > before or not _size(listing):
            servers.append((server.name, listing))
    tools, prompts = found[Kind.TOOL], found[Kind.PROMPT]
    resources, templates = found[Kind.RESOURCE], found[Kind.TEMPLATE]
    return Offers(tools, prompts, resources, templates, servers)


def can_subscribe(capabilities: Mapping[str, Any]) -> bool:
    """Whether a server that declares these tells of changed resources."""
    resources = capabilities.get("resources")
    return isinstance(resources, Mapping) and resources.get("subscribe") is True


def _listed(
    server: str, listing: Listing, names: Names
) -> Iterator[tuple[Kind, str, str, Entry]]:
    """Its kind, its own name, its exposed one, and the entry."""
    for name, entry in _tools(listing):
        exposed = names.tools.get((server, name))
        if exposed is not None:
            yield Kind.TOOL, name, exposed, entry
    for name, entry in _keyed(listing.prompts, "name"):
        exposed = names.prompts.get((server, name))
        if exposed is not None:
            yield Kind.PROMPT, name, exposed, entry
    exposed = plain(server, _RESOURCES)
    for uri, entry in _keyed(listing.resources, "uri"):
        yield Kind.RESOURCE, uri, exposed, entry
    for uri, entry in _keyed(listing.templates, "uriTemplate"):
        yield Kind.TEMPLATE, uri, exposed, entry


def _verdict(
    policy: ToolPolicy, server: str, kind: Kind, name: str, exposed: str, entry: Entry
) -> Verdict:
    if kind is Kind.TOOL:
        annotations = entry.get("annotations")
        hints = annotations if isinstance(annotations, Mapping) else None
        return policy.verdict(server, name, exposed, hints)
    judged = name if kind is Kind.PROMPT else _RESOURCES
    return policy.verdict(server, judged, exposed, _READS)


def _tools(listing: Listing) -> Iterator[tuple[str, Entry]]:
    """The tools that can be called as calls are here: not only as tasks."""
    for name, tool in _keyed(listing.tools, "name"):
        execution = tool.get("execution")
        if (
            not isinstance(execution, Mapping)
            or execution.get("taskSupport") != "required"
        ):
            yield name, tool


def _keyed(entries: Sequence[Entry], key: str) -> Iterator[tuple[str, Entry]]:
    """The `entries` that are well formed, with what identifies them."""
    for entry in entries:
        name = entry.get(key) if isinstance(entry, Mapping) else None
        if isinstance(name, str) and 0 < len(name) <= LONGEST:
            yield name, entry


def _size(listing: Listing) -> int:
    return sum(
        map(len, (listing.tools, listing.prompts, listing.resources, listing.templates))
    )


def _seen(offers: Mapping[str, Offer]) -> list[tuple[str, Entry]]:
    return [(name, offer.shown) for name, offer in offers.items()]
