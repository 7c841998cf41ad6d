"""The tools of a Responses request, some of which lie in namespaces."""

from __future__ import annotations

from modelplex.guests.hosted import Tool, kind_of, open_tools, says, written
from modelplex.guests.spoken import first_of
from modelplex.wire.jsonobject import open_array, open_object

# Tools that the guest runs.
_CLIENTS = frozenset(
    {
        *("function", "custom", "local_shell", "shell", "apply_patch", "computer"),
        *("computer_use", "computer_use_preview"),
        "tool_search",  # finds tools among those of the request; nothing leaves by it
    }
)
_CLIENT_KINDS = frozenset(f'"{kind}"'.encode() for kind in _CLIENTS)
CHOICES = _CLIENTS | {"namespace", "allowed_tools"}


def sift(text: bytes, inside: bool = False) -> tuple[list[bytes], list[str]]:
    """The tools that are left, and the types of those that are not."""
    tools = open_tools(text, "tools")
    kinds: list[str] = []
    if all(map(_is_clients, tools)):
        return [], kinds
    kept: list[bytes] = []
    for tool, item in zip(tools, open_array(text, "tools"), strict=True):
        if _is_clients(tool):
            kept.append(item)
        elif not inside and _is_namespace(tool):
            left, gone = sift(bytes(tool["tools"]), inside=True)
            kinds += gone
            if not gone:
                kept.append(item)
            elif left:
                kept.append(open_object(item).splice({"tools": written(left)}))
        else:
            kinds.append(kind_of(tool))
    return kept, kinds


def _is_clients(tool: Tool) -> bool:
    """Whether it is certainly the guest who runs this tool."""
    kind = says(tool, "type")
    if kind == b'"shell"':
        return is_local(tool)
    if kind is None:
        return "name" in tool and "parameters" in tool
    return kind in _CLIENT_KINDS


def _is_namespace(tool: Tool) -> bool:
    return says(tool, "type") == b'"namespace"' and bool(says(tool, "tools"))


def is_local(shell: Tool) -> bool:
    """Whether the commands of a shell run where the guest is, not in a container."""
    where = says(shell, "environment")
    if where is None or where == b"null":
        return True
    if not where.startswith(b"{"):
        return False
    return says(first_of(where, "tools"), "type") == b'"local"'
