"""The items of a fake Responses answer, and the events that build them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from modelplex.testing.fakes.responses_items import Item
from modelplex.testing.fakes.script import cut
from modelplex.testing.fakes.speaker import dump

_PADDING = "obfuscated"
_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}


@define(eq=False)
class Events:
    """
    Writes the events of one stream, numbered from 0.

    :ivar padded: deltas carry obfuscation, as they do unless a guest says no.
    :ivar number: of the next event.
    """

    padded: bool = True
    number: int = 0

    def event(self, kind: str, **more: Any) -> bytes:
        """One event."""
        number, self.number = self.number, self.number + 1
        if self.padded and kind.endswith(".delta"):
            more["obfuscation"] = _PADDING[: 3 + number % 7]
        told = dump({"type": kind, "sequence_number": number, **more})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), told)

    def item(self, index: int, item: Item, pieces: Callable[[], Iterator[str]]) -> Any:
        """
        The events of one item.

        :param pieces: the text of a message, piece by piece.
        """
        match item["type"]:
            case "reasoning":
                yield from self._reasoning(index, item)
            case "message":
                yield from self._message(index, item, pieces)
            case _:
                yield from self._call(index, item)

    def _added(self, index: int, item: Item) -> bytes:
        added = "response.output_item.added"
        return self.event(added, output_index=index, item=item)

    def _done(self, index: int, item: Item) -> bytes:
        return self.event("response.output_item.done", output_index=index, item=item)

    def _reasoning(self, index: int, item: Item) -> Iterator[bytes]:
        bare = {k: v for k, v in item.items() if k != "encrypted_content"}
        yield self._added(index, {**bare, "summary": []})
        for place, part in enumerate(item["summary"]):
            at = {"item_id": item["id"], "output_index": index, "summary_index": place}
            kind = "response.reasoning_summary_"
            empty = {**part, "text": ""}
            yield self.event(kind + "part.added", **at, part=empty)
            for piece in cut(part["text"]):
                yield self.event(kind + "text.delta", **at, delta=piece)
            yield self.event(kind + "text.done", **at, text=part["text"])
            yield self.event(kind + "part.done", **at, part=part)
        yield self._done(index, item)

    def _message(
        self, index: int, item: Item, pieces: Callable[[], Iterator[str]]
    ) -> Iterator[bytes]:
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        part: dict[str, Any] = {
            "type": "output_text",
            "annotations": [],
            "logprobs": [],
            "text": "",
        }
        # Joined, as none of it says anything by itself.
        begun = self._added(index, {**item, "status": "in_progress", "content": []})
        begun += self.event("response.content_part.added", **at, part=part)
        kind = "response.output_text"
        said = []
        for piece in pieces():
            said.append(piece)
            yield begun + self.event(kind + ".delta", **at, delta=piece, logprobs=[])
            begun = b""
        text = "".join(said)
        yield begun + self.event(kind + ".done", **at, text=text, logprobs=[])
        part["text"] = text
        yield self.event("response.content_part.done", **at, part=part)
        yield self._done(index, {**item, "content": [part]})

    def _call(self, index: int, item: Item) -> Iterator[bytes]:
        key, kind = _CALLS[item["type"]]
        at = {"item_id": item["id"], "output_index": index}
        yield self._added(index, {**item, "status": "in_progress", key: ""})
        for piece in cut(item[key]):
            yield self.event(kind + ".delta", **at, delta=piece)
        yield self.event(kind + ".done", **at, **{key: item[key]})
        yield self._done(index, item)
