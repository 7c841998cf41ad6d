"""Taking tools that a provider would run out of those that the guest runs itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from attrs import frozen

from modelplex.errors import BadRequest
from modelplex.guests.policy import HOSTED_TOOLS, Policy
from modelplex.guests.references import forbidden, parsed, strings
from modelplex.wire.jsonobject import open_array, open_objects

MOST_TOOLS = 2000  # of one request
_SEARCHING = ":online"  # in the name of a model: OpenRouter's way to search the web

Tool = Mapping[str, msgspec.Raw]
IsClients = Callable[[Tool], bool]
"""Whether it is the guest who runs a tool."""


@frozen
class Sifted:
    """
    Tools without those that were taken out.

    :ivar text: the array of those that are left; ``None`` when there are none.
    :ivar kinds: the type of each that was taken out.
    """

    text: bytes | None
    kinds: tuple[str, ...]

    @property
    def dropped(self) -> list[str]:
        """Their names for ``modelplex-dropped``."""
        return [named(kind) for kind in self.kinds]


def sift(text: bytes | None, is_clients: IsClients) -> Sifted | None:
    """
    The tools of `text` that are the guest's; ``None`` when all are.

    :raises BadRequest: it is no array of objects, or one can be read in two ways.
    """
    if text is None or text == b"null":
        return None
    tools = open_tools(text, "tools")
    ours = [is_clients(tool) for tool in tools]
    if all(ours):
        return None
    items = open_array(text, "tools")
    kept = [item for item, own in zip(items, ours, strict=True) if own]
    kinds = (kind_of(tool) for tool, own in zip(tools, ours, strict=True) if not own)
    return Sifted(written(kept), tuple(kinds))


def open_tools(text: bytes, where: str) -> list[dict[str, msgspec.Raw]]:
    """
    The members of every tool of the array `text`, of which there are not too many.

    :raises BadRequest: as `open_objects` does, and for more than `MOST_TOOLS`.
    """
    tools = open_objects(text, where)
    check_number(len(tools), where)
    return tools


def check_number(tools: int, where: str) -> None:
    """
    Ask whether a request may have so many tools.

    :raises BadRequest: it may not.
    """
    if tools > MOST_TOOLS:
        raise BadRequest(f"{where}: more than {MOST_TOOLS} tools", param=where)


def check_name(model: str, policy: Policy) -> None:
    """
    Ask whether a guest may ask for a model by this name.

    What a provider is asked for in its place is either the same name or the
    operator's own words, so that an alias may say what a guest may not.

    :raises Forbidden: the name itself makes a gateway search.
    """
    if HOSTED_TOOLS not in policy.allow and _SEARCHING in model.casefold():
        raise forbidden("model", HOSTED_TOOLS)


def written(items: list[bytes]) -> bytes | None:
    """The array of `items`, or ``None`` for none."""
    return b"[" + b",".join(items) + b"]" if items else None


def kind_of(tool: Tool) -> str:
    """The type of a tool as words for a list of what was dropped."""
    kind = tool.get("type")
    return "untyped" if kind is None else str(parsed(bytes(kind), "tools"))


def named(kind: str) -> str:
    """What a tool of type `kind` is called in ``modelplex-dropped``."""
    return f"tools[{ascii(kind)[1:-1]}]"[:80]


def says(tool: Tool, key: str) -> bytes | None:
    """
    The value of `key`: ``None`` when absent, nothing when it can be read in two ways.
    """
    found = [name for name in tool if name.casefold() == key]
    if not found:
        return None
    return bytes(tool[key]) if found == [key] else b""


def check_choice(
    choice: bytes | None, none_left: bool, clients: frozenset[str]
) -> None:
    """
    Hold a ``tool_choice`` as OpenAI writes it against the types of `clients`.

    :param none_left: every tool was taken out.
    :raises Forbidden: it forces a hosted tool.
    """
    if choice is None:
        return
    if choice.startswith(b"{"):
        for key, kind in strings(parsed(choice, "tool_choice"), "tool_choice"):
            if key == "type" and kind not in clients:
                raise forbidden("tool_choice", HOSTED_TOOLS)
    elif none_left and choice == b'"required"':
        raise forbidden("tool_choice", HOSTED_TOOLS)
