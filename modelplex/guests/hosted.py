"""Taking tools that a provider would run out of those that the guest runs itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from attrs import frozen

from modelplex.guests.policy import HOSTED_TOOLS
from modelplex.guests.references import forbidden, parsed, strings
from modelplex.wire.jsonobject import open_array, open_objects

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
    tools = open_objects(text, "tools")
    hosted = [number for number, tool in enumerate(tools) if not is_clients(tool)]
    if not hosted:
        return None
    items = open_array(text, "tools")
    kept = [item for number, item in enumerate(items) if number not in hosted]
    return Sifted(written(kept), tuple(kind_of(tools[number]) for number in hosted))


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
