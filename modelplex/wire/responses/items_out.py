"""The items of a response as a guest sees them, while they grow and when complete."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from modelplex.events import JSON, HostCall, ToolCallStarted
from modelplex.wire.responses.names import guest_name
from modelplex.wire.typed import is_object


@define(eq=False)
class MessageItem:
    """
    Text and refusals, each kind in parts of its own.

    :ivar index: its place in the output.
    :ivar parts: those that are complete.
    :ivar kind: of the part that is open, if one is.
    """

    id: str
    index: int
    parts: list[JSON] = field(factory=list)
    kind: str = ""
    pieces: list[str] = field(factory=list)
    annotations: list[JSON] = field(factory=list)
    logprobs: list[JSON] = field(factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def part(self, *, empty: bool = False) -> dict[str, Any]:
        """The open part, as it is or as it began."""
        text = "" if empty else self.text
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": [] if empty else self.annotations,
            "logprobs": [] if empty else self.logprobs,
        }

    def shown(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": self.parts,
        }


@define(eq=False)
class ReasoningItem:
    """One block of reasoning; its text is a summary, which agents show."""

    id: str
    index: int
    pieces: list[str] = field(factory=list)
    proof: str | None = None

    def shown(self) -> dict[str, Any]:
        text = "".join(self.pieces)
        return {
            "id": self.id,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text}] if text else [],
            "encrypted_content": self.proof,
        }


@define(eq=False)
class CallItem:
    """A call of a function, or of a custom tool."""

    id: str
    index: int
    call: ToolCallStarted
    pieces: list[str] = field(factory=list)

    @property
    def written(self) -> str:
        return "".join(self.pieces)

    def complete(self) -> bool:
        """Whether no more of it can come, as far as it can be told."""
        if self.call.custom or not self.pieces:
            return False
        return self.pieces[-1].rstrip().endswith("}") and is_object(self.written)

    def shown(self, status: str) -> dict[str, Any]:
        namespace, name = guest_name(self.call.name)
        custom = self.call.custom
        item = {
            "id": self.id,
            "type": "custom_tool_call" if custom else "function_call",
            "status": status,
            "call_id": self.call.id,
            "name": name,
        }
        if namespace:
            item["namespace"] = namespace
        return {**item, "input" if custom else "arguments": self.written}


@define(eq=False)
class HostCallItem:
    """A call of a tool of the host, which Modelplex makes itself."""

    id: str
    index: int
    call: HostCall

    def shown(
        self, status: str, arguments: str = "", output: str | None = None
    ) -> dict[str, Any]:
        """
        The item.

        :param output: what the tool has answered; its error, if that is the status.
        """
        failed = status == "failed"
        error = None
        if failed:
            content = [{"type": "text", "text": output}]
            error = {"type": "mcp_tool_execution_error", "content": content}
        return {
            "id": self.id,
            "type": "mcp_call",
            "status": status,
            "server_label": self.call.label,
            "name": self.call.name,
            "arguments": arguments,
            "output": None if failed else output,
            "error": error,
            "approval_request_id": None,
        }


def listed_tool(tool: JSON) -> dict[str, Any]:
    """A tool's definition, which is MCP's, as ``mcp_list_tools`` has it."""
    return {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "input_schema": tool.get("inputSchema") or {"type": "object"},
        "annotations": tool.get("annotations"),
    }


def annotation(citation: JSON, start: int, end: int) -> JSON:
    """
    A citation as an annotation, or ``None`` when it names nothing a guest can read.

    :param start: where the text it is for starts in its part.
    """
    if not isinstance(citation, dict):
        return None
    kind, inner = citation.get("type"), citation.get("url_citation")
    if kind == "url_citation" and isinstance(inner, dict):
        return {"type": kind, **inner}
    if kind in ("url_citation", "file_citation", "container_file_citation"):
        return citation
    url = citation.get("url")
    if not isinstance(url, str):
        return None
    title = citation.get("title")
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "title": title if isinstance(title, str) else "",
        "url": url,
    }
