"""What one entry of ``messages`` says, as canonical messages."""

from __future__ import annotations

from modelplex.errors import BadRequest
from modelplex.events import (
    Document,
    HostCall,
    HostPart,
    HostResult,
    Image,
    Message,
    Part,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_SPOKEN_BY = {
    Role.USER: (Text, Image, Document, ToolResult),
    Role.ASSISTANT: (Text, Thinking, RedactedThinking, ToolCall),
}


def turns(role: Role, said: list[Part | HostPart], where: str) -> list[Message]:
    """
    One message, or two when tool results stand before what the user says.

    What an assistant has said around calls that were made for it are several.
    """
    if role is Role.ASSISTANT and any(isinstance(part, HostPart) for part in said):
        return _rounds(said, where)
    found = [part for part in said if isinstance(part, Part)]
    for part in found:
        if not isinstance(part, _SPOKEN_BY[role]):
            raise BadRequest(
                f"{where}: a {role.value} message has no {type(part).__name__}",
                param=where,
            )
    results = tuple(part for part in found if isinstance(part, ToolResult))
    rest = tuple(part for part in found if not isinstance(part, ToolResult))
    turn = [Message(Role.TOOL, results)] if results else []
    if rest or not results:
        turn.append(Message(role, rest))
    return turn


def _rounds(said: list[Part | HostPart], where: str) -> list[Message]:
    """What an assistant said, called and was given, in turns."""
    talk: list[Message] = []
    speech: list[Part | HostPart] = []
    given: list[ToolResult] = []

    def finish() -> None:
        if speech:
            talk.extend(turns(Role.ASSISTANT, [*speech], where))
        if given:
            talk.append(Message(Role.TOOL, tuple(given)))
        speech.clear()
        given.clear()

    for part in said:
        if isinstance(part, HostResult):
            given.append(ToolResult(part.call_id, part.content, part.is_error))
            continue
        if given:
            finish()
        if isinstance(part, HostCall):
            speech.append(ToolCall(part.id, part.name, part.arguments))
        elif isinstance(part, Part):
            speech.append(part)
    finish()
    return talk
