"""Output items of a provider's response to canonical events, whole or in deltas."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import UpstreamMalformed
from modelplex.events import (
    JSON,
    Cited,
    Event,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
)
from modelplex.wire.responses.names import flat_name
from modelplex.wire.responses.proofs import native

_MOST_ITEMS = 10_000
_LONGEST_HELD = 16 * 2**20  # characters of arguments whose call has no name yet


class Part(msgspec.Struct):
    """A part of a message, or a piece of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Item(msgspec.Struct):
    """Any item that an answer consists of."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


KINDS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


@define(eq=False)
class Slot:
    """
    One item on its way.

    :ivar call: the canonical index of its tool call, once that has started.
    :ivar told: indexes of the parts of which something was told in deltas.
    :ivar source: which of the two texts of reasoning is told: the first to come.
    """

    kind: str
    id: str = ""
    call_id: str = ""
    call: int | None = None
    held: list[str] = field(factory=list)
    length: int = 0
    told: set[int] = field(factory=set)
    cited: int = 0
    logprobs: bool = False
    source: str = ""
    done: bool = False


@define(eq=False)
class ItemReader:
    """
    Tells of each item as it comes; whatever no delta told is told when it is done.

    Servers leave out deltas, ``done`` events, indexes or ids, and some give an item
    another id in every event, so an index counts for more than an id.

    :ivar told: something was told.
    :ivar calls: how many tool calls have started.
    :ivar refused: the model refused.
    """

    told: bool = False
    calls: int = 0
    refused: bool = False
    _by_index: dict[int, Slot] = field(factory=dict)
    _by_id: dict[str, Slot] = field(factory=dict)
    _last: Slot | None = None
    _thinking: bool = False  # the last event was a thought without a proof
    _thought: int = -1  # the piece of reasoning it was from

    def slot(self, index: int | None, id: str | None) -> Slot | None:
        """The item that an event is about."""
        if index is not None:
            return self._by_index.get(index)
        return self._by_id.get(id) if id else self._last

    def added(self, item: Item, index: int | None, events: list[Event]) -> Slot:
        """An item begins."""
        slot = Slot(item.type, item.id or "", item.call_id or "")
        if len(self._by_index) + len(self._by_id) > _MOST_ITEMS:
            raise UpstreamMalformed("the provider's answer has too many items")
        if index is not None:
            self._by_index[index] = slot
        if item.id:
            self._by_id[item.id] = slot
        self._last = slot
        if item.type in ("function_call", "custom_tool_call") and item.name:
            self._start(slot, item.name, item.namespace, events)
        return slot

    def text(
        self, slot: Slot | None, part: int, text: str, events: list[Event]
    ) -> None:
        if slot is not None:
            slot.told.add(part)
        self._said()
        events.append(TextDelta(text))

    def refusal(
        self, slot: Slot | None, part: int, text: str, events: list[Event]
    ) -> None:
        if slot is not None:
            slot.told.add(part)
        self.refused = True
        self._said()
        events.append(RefusalDelta(text))

    def logprobs(
        self, slot: Slot | None, entries: list[Any], events: list[Event]
    ) -> None:
        if slot is not None:
            slot.logprobs = True
        events.append(TokenLogprobs(tuple(entries)))

    def annotation(self, slot: Slot | None, said: JSON, events: list[Event]) -> None:
        if slot is not None:
            slot.cited += 1
        events.append(Cited(citation(said)))

    def thought(
        self,
        slot: Slot | None,
        source: str,
        piece: int,
        text: str,
        events: list[Event],
    ) -> None:
        """A delta of reasoning; between two pieces there is an empty line."""
        if slot is not None:
            if slot.source not in ("", source):
                return
            if not slot.source:
                slot.source = source
                self._thought = -1
        if self._thinking and piece != self._thought:
            text = "\n\n" + text
        self.told = self._thinking = True
        self._thought = piece
        events.append(ThinkingDelta(text))

    def arguments(self, slot: Slot | None, text: str, events: list[Event]) -> None:
        """A fragment of a call's arguments or of its free text."""
        if slot is None:
            return
        slot.told.add(0)
        if slot.call is not None:
            events.append(ToolCallDelta(slot.call, text))
            return
        slot.length += len(text)
        if slot.length > _LONGEST_HELD:
            raise UpstreamMalformed("a tool call without a name is too long")
        slot.held.append(text)

    def done(self, slot: Slot, item: Item, events: list[Event]) -> None:
        """An item, of one of `KINDS`, is complete."""
        if slot.done:
            return
        slot.done = True
        match item.type:
            case "message":
                self._message(slot, item.content or [], events)
            case "reasoning":
                self._reasoning(slot, item, events)
            case _:
                self._call(slot, item, events)

    def flush(self, events: list[Event]) -> None:
        """Start the calls whose name never came, at the end of the answer."""
        slots = [*self._by_index.values(), *self._by_id.values()]
        for slot in slots:  # some twice: what they held is told once
            if slot.held:
                self._start(slot, "", None, events)

    def part(self, slot: Slot, number: int, part: Part, events: list[Event]) -> None:
        """One part of a message is complete."""
        if number not in slot.told:
            if part.type == "refusal" and part.refusal:
                self.refusal(slot, number, part.refusal, events)
            elif part.type == "output_text" and part.text:
                self.text(slot, number, part.text, events)

    def _message(self, slot: Slot, content: list[Part], events: list[Event]) -> None:
        counted = 0
        for number, part in enumerate(content):
            self.part(slot, number, part, events)
            if part.logprobs and not slot.logprobs:
                events.append(TokenLogprobs(tuple(part.logprobs)))
            for said in part.annotations or ():
                counted += 1
                if counted > slot.cited:
                    events.append(Cited(citation(said)))

    def _reasoning(self, slot: Slot, item: Item, events: list[Event]) -> None:
        told = bool(slot.source)
        if not told:
            summary = [p.text for p in item.summary or () if p.text]
            texts = summary or [p.text for p in item.content or () if p.text]
            if texts:
                told = True
                self.thought(slot, "whole", 0, "\n\n".join(texts), events)
        if item.encrypted_content:
            proof = native(item.id or slot.id, item.encrypted_content)
            self._said()
            events.append(ThinkingSigned(proof) if told else ThinkingRedacted(proof))

    def _call(self, slot: Slot, item: Item, events: list[Event]) -> None:
        if slot.call is None:
            slot.call_id = slot.call_id or item.call_id or ""
            self._start(slot, item.name or "", item.namespace, events)
        whole = item.input if item.type == "custom_tool_call" else item.arguments
        if not slot.told and whole:
            if not isinstance(whole, str):  # some servers send the object itself
                whole = msgspec.json.encode(whole).decode()
            self.arguments(slot, whole, events)

    def _start(
        self, slot: Slot, name: str, namespace: str | None, events: list[Event]
    ) -> None:
        index = slot.call = self.calls
        self.calls += 1
        self._said()
        # A name without namespace is as the request had it, two hyphens or not.
        name = flat_name(namespace, name) if namespace else name
        custom = slot.kind == "custom_tool_call"
        id = slot.call_id or slot.id or f"call_{index}"
        events.append(ToolCallStarted(index, id, name, custom))
        if slot.held:
            events.append(ToolCallDelta(index, "".join(slot.held)))
            slot.held.clear()

    def _said(self) -> None:
        self.told = True
        self._thinking = False


def citation(said: JSON) -> JSON:
    """An annotation as a chat has it, whose guests read it as it is."""
    if isinstance(said, dict) and said.get("type") == "url_citation" and "url" in said:
        inner = {k: v for k, v in said.items() if k != "type"}
        return {"type": "url_citation", "url_citation": inner}
    return said
