"""A guest's input items to canonical messages, in order."""

from __future__ import annotations

from attrs import define, field

from modelplex.errors import UnsupportedField
from modelplex.events import (
    JSON,
    Document,
    Image,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from modelplex.wire.openai.fields import Field
from modelplex.wire.responses.content_in import parts, screenshot
from modelplex.wire.responses.names import flat_name
from modelplex.wire.responses.proofs import remembered
from modelplex.wire.responses.tools_in import ToolReader
from modelplex.wire.typed import pack

# Tools of the API that the guest runs itself. Nothing offers them to another model,
# but what was said with them belongs to the conversation.
_RUN_BY_GUEST = ("local_shell", "shell", "apply_patch", "computer", "tool_search")
_CALLS = {f"{name}_call": name for name in _RUN_BY_GUEST}
_OUTPUTS = frozenset(f"{name}_call_output" for name in _RUN_BY_GUEST) | {
    "tool_search_output"
}
_NOT_ARGUMENTS = frozenset({"type", "id", "call_id", "status"})
# What the provider ran, which its answer has made use of.
_HOSTED = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call"),
        *("image_generation_call", "mcp_list_tools"),
        *("mcp_approval_request", "program", "program_output"),
    }
)


@define
class InputReader:
    """
    Reads one item after another.

    What an assistant says, thinks and calls without anybody between is one message.

    :ivar extra: what has no canonical place, by its path.
    :ivar messages: complete after `finish`.
    :ivar update: the latest ``configuration_update``.
    """

    extra: dict[str, JSON]
    tools: ToolReader
    messages: list[Message] = field(factory=list)
    update: Field | None = None
    _speech: list[Part] = field(factory=list)
    _ran: list[ToolResult] = field(factory=list)
    _ran_ids: set[str] = field(factory=set)

    def read(self, input: Field) -> None:
        if isinstance(input.value, str):
            self._say(Role.USER, (Text(input.value),))
            return
        for item in input.items():
            self._item(item)

    def finish(self) -> None:
        """End the message that is being collected."""
        if self._speech:
            self.messages.append(Message(Role.ASSISTANT, tuple(self._speech)))
            self._speech.clear()
        if self._ran:
            self.messages.append(Message(Role.TOOL, tuple(self._ran)))
            self._ran.clear()
            self._ran_ids.clear()

    def _say(self, role: Role, content: tuple[Part, ...]) -> None:
        self.finish()
        self.messages.append(Message(role, content))

    def _item(self, item: Field) -> None:
        kind = item.maybe("type", Field.text)
        if kind is None:
            kind = "message" if "role" in item.object() else "item_reference"
        if self._ran and kind != "mcp_call":
            self.finish()  # the model has gone on
        match kind:
            case "mcp_call":
                self._hosted_call(item)
            case "message":
                self._message(item)
            case "reasoning":
                self._reasoning(item)
            case "function_call" | "custom_tool_call":
                self._call(item, kind == "custom_tool_call")
            case "function_call_output" | "custom_tool_call_output":
                self._result(item)
            case "additional_tools":
                self.tools.read(item.need("tools").items())
            case "configuration_update":
                self.update = item
            case _ if kind in _CALLS:
                self._own_call(item, _CALLS[kind])
            case _ if kind in _OUTPUTS:
                self._own_result(item)
            case _ if kind in _HOSTED:
                self.extra[f"input[{kind}]"] = None
            case _:
                raise UnsupportedField(
                    f"{item.path}: an item of type {kind[:60]!r} means something "
                    "only to the provider that gave it",
                    param=item.path,
                )

    def _message(self, item: Field) -> None:
        content = item.need("content")
        role = item.need("role").word("user", "assistant", "system", "developer")
        match role:
            case "assistant":
                self._speech += parts(content, "refusal")
            case "user":
                found = parts(content, "input_image", "input_file", "input_audio")
                self._say(Role.USER, found)
            case _:
                self._say(Role.SYSTEM, parts(content))

    def _reasoning(self, item: Field) -> None:
        texts: list[str] = []
        for key in ("summary", "content"):
            if not texts:
                pieces = item.maybe(key, Field.items) or []
                texts = [piece.need("text").text() for piece in pieces]
        found = remembered(
            item.maybe("id", Field.text) or "",
            item.maybe("encrypted_content", Field.text) or "",
            "\n\n".join(texts),
        )
        if not found:  # its provider has kept it
            self.extra["input[reasoning]"] = None
        self._speech += found

    def _call(self, item: Field, custom: bool) -> None:
        namespace = item.maybe("namespace", Field.text) or ""
        name = flat_name(namespace, item.need("name").name())
        key = "input" if custom else "arguments"
        written = item.need(key).text()
        self._speech.append(
            ToolCall(item.need("call_id").text(), name, written, custom)
        )

    def _result(self, item: Field) -> None:
        id = item.need("call_id").text()
        output = item.get("output")
        found: tuple[Part, ...] = ()
        if output is not None:
            found = parts(output, "input_image", "input_file")
        self._answer(id, found)

    def _answer(self, id: str, found: tuple[Part, ...]) -> None:
        pieces = tuple(p for p in found if isinstance(p, Text | Image | Document))
        self._say(Role.TOOL, (ToolResult(id, pieces),))

    def _hosted_call(self, item: Field) -> None:
        """What was called for the model, here or at a provider: it was answered."""
        id = item.maybe("id", Field.text) or f"mcp_{len(self.messages)}"
        if id in self._ran_ids:
            id = f"{id}_{len(self._ran)}"
        self._ran_ids.add(id)
        name = item.need("name").name()
        arguments = item.maybe("arguments", Field.text) or "{}"
        error = item.get("error")
        output = item.maybe("output", Field.text) if error is None else _words(error)
        self._speech.append(ToolCall(id, name, arguments))
        said = (Text(output),) if output else ()
        self._ran.append(ToolResult(id, said, is_error=error is not None))

    def _own_call(self, item: Field, name: str) -> None:
        said = {k: v for k, v in item.object().items() if k not in _NOT_ARGUMENTS}
        id = item.maybe("call_id", Field.text) or item.need("id").text()
        self._speech.append(ToolCall(id, name, pack(said).decode()))

    def _own_result(self, item: Field) -> None:
        id = item.maybe("call_id", Field.text) or item.need("id").text()
        output = item.get("output") or item.get("tools")
        shown: tuple[Part, ...] = ()
        if output is not None:
            shown = (_shown(output),)
        self._answer(id, shown)


def _words(error: Field) -> str:
    """An error has a message, or content as of a result; some are a text only."""
    value = error.value
    said = value
    if isinstance(value, dict):
        said = value.get("message") or value.get("content")
    if isinstance(said, list):
        pieces = [one.get("text") for one in said if isinstance(one, dict)]
        said = "\n".join(one for one in pieces if isinstance(one, str))
    return said if isinstance(said, str) and said else pack(value).decode()


def _shown(output: Field) -> Text | Image:
    """What one of those tools gave, as a picture or as its JSON."""
    value = output.value
    if isinstance(value, str):
        return Text(value)
    picture = screenshot(output) if isinstance(value, dict) else None
    return picture or Text(pack(value).decode())
