"""
Content blocks of a provider's answer to canonical events, whole or in deltas.

Server tools and their results are passed over, and so are types not known yet.
"""

from __future__ import annotations

from attrs import define, field
from msgspec import Raw, Struct

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    JSON,
    Cited,
    Event,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from modelplex.wire.anthropic.tool_words import (
    tool_name,
    whole_input,
)
from modelplex.wire.freeform import free_text

_LONGEST_INPUT = 16 * 2**20  # characters of a custom tool's input, which is held back

DELTAS = frozenset(
    {
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
    }
)
BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


class StopDetails(Struct):
    """Why the model refused."""

    explanation: str | None = None


class Delta(Struct, gc=False):
    """Any delta: each type sets a field or two of its own."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: JSON = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class Block(Struct):
    """Any block, as a stream begins it or as it stands in a whole reply."""

    type: str = ""
    text: str = ""
    citations: list[JSON] | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


@define(eq=False)
class _Call:
    """The tool call whose arguments are coming in."""

    index: int
    custom: bool
    input: Raw
    some: bool = False
    held: list[str] = field(factory=list)
    length: int = 0


@define(eq=False)
class BlockReader:
    """Reads one block after another, each by `start`, any `delta` and `stop`."""

    _calls: int = 0
    _call: _Call | None = None
    _signature: str = ""

    def start(self, block: Block, events: list[Event]) -> None:
        self.stop(events)
        match block.type:
            case "text" if block.text:
                events.append(TextDelta(block.text))
                events += [Cited(citation) for citation in block.citations or ()]
            case "thinking":
                if block.thinking:
                    events.append(ThinkingDelta(block.thinking))
                self._signature = block.signature
            case "redacted_thinking":
                events.append(ThinkingRedacted(block.data))
            case "tool_use":
                name, custom = tool_name(block.name)
                events.append(ToolCallStarted(self._calls, block.id, name, custom))
                self._call = _Call(self._calls, custom, block.input)
                self._calls += 1
            case _:
                pass  # server tools and their results, and types not known yet

    def delta(self, delta: Delta, events: list[Event]) -> None:
        match delta.type:
            case "text_delta" if delta.text:
                events.append(TextDelta(delta.text))
            case "input_json_delta" if delta.partial_json:
                self._input(delta.partial_json, events)
            case "thinking_delta" if delta.thinking:
                events.append(ThinkingDelta(delta.thinking))
            case "signature_delta":
                self._signature += delta.signature
            case "citations_delta" if delta.citation is not None:
                events.append(Cited(delta.citation))
            case _:
                pass

    def _input(self, piece: str, events: list[Event]) -> None:
        call = self._call
        if call is None:
            return  # a server tool's
        call.some = True
        if not call.custom:
            events.append(ToolCallDelta(call.index, piece))
            return
        call.length += len(piece)
        if call.length > _LONGEST_INPUT:
            raise UpstreamMalformed("the input of a tool is too long")
        call.held.append(piece)

    def stop(self, events: list[Event]) -> None:
        if self._signature:
            events.append(ThinkingSigned(self._signature))
            self._signature = ""
        call, self._call = self._call, None
        if call is None:
            return
        if call.custom:
            written = "".join(call.held) if call.some else whole_input(call.input)
            if text := free_text(written):
                events.append(ToolCallDelta(call.index, text))
        elif not call.some:
            events.append(ToolCallDelta(call.index, whole_input(call.input)))
