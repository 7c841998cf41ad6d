"""The items of a response, as events in the order that SDKs insist on."""

from __future__ import annotations

import msgspec

from modelplex.events import JSON, ToolCallStarted
from modelplex.wire.responses.items_out import (
    CallItem,
    MessageItem,
    ReasoningItem,
    annotation,
)
from modelplex.wire.responses.proofs import UNPROVEN

_encode = msgspec.json.Encoder().encode

LONGEST = 16 * 2**20  # characters of an answer, which is repeated at its end


class OutputWriter:
    """
    Writes items one after another; only tool calls may be open beside each other.

    Whatever is told is in `taken`, but for `more_text`, which is given at once.

    :param own: the part that all ids of this response share.
    :ivar cut: the answer is longer than what can be repeated at its end.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._out: list[bytes] = []
        self.sequence = -1
        self._output: list[bytes | None] = []  # each item once it is complete
        self._open: MessageItem | ReasoningItem | None = None
        self._calls: dict[int, CallItem] = {}
        self._text = b""  # a text delta between its sequence number and its text
        self._pieces: list[str] = []  # of the open text part
        self._size = 0
        self._part_size = 0
        self._cited = (0, 0)  # the text that the last citation is for

    @property
    def cut(self) -> bool:
        return self._size > LONGEST

    @property
    def text_open(self) -> bool:
        """Whether `more_text` may be called."""
        return bool(self._text)

    @property
    def output(self) -> list[msgspec.Raw]:
        """The items that are complete."""
        return [msgspec.Raw(item) for item in self._output if item]

    def taken(self) -> bytes:
        """What was told since the last time."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def tell(self, kind: str, **members: JSON) -> None:
        """One event."""
        self.sequence += 1
        told = _encode({"type": kind, "sequence_number": self.sequence, **members})
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), told))

    def text(self, text: str) -> None:
        """More text, in the open part or in a new one."""
        self._part("output_text")
        self._out.append(self.more_text(text))

    def _fits(self, text: str) -> bool:
        self._size += len(text)
        return self._size <= LONGEST

    def more_text(self, text: str) -> bytes:
        """A delta of the open text part; much the most frequent event."""
        self._size += len(text)
        if self._size > LONGEST or not text:
            return b""
        self._pieces.append(text)
        self._part_size += len(text)
        self.sequence += 1
        return (
            b"event: response.output_text.delta\n"
            b'data: {"type":"response.output_text.delta","sequence_number":%d%b%b,'
            b'"logprobs":[]}\n\n' % (self.sequence, self._text, _encode(text))
        )

    def _part(self, kind: str) -> MessageItem:
        """The open message, with its open part of this `kind`."""
        item = self._open
        if not isinstance(item, MessageItem):
            self.close()
            item = MessageItem(self._item_id("msg"), len(self._output))
            self._open = item
            self._add(item.index, item.shown("in_progress"))
        if item.kind != kind:
            self._close_part(item)
            item.kind, item.pieces = kind, []
            item.annotations, item.logprobs = [], []
            part = item.part(empty=True)
            self.tell("response.content_part.added", **self._in_part(item), part=part)
            if kind == "output_text":
                where = _encode({**self._in_part(item), "delta": ""})
                self._text = b"," + where[1:-3]
                self._pieces, self._part_size = item.pieces, 0
        return item

    def refuse(self, text: str) -> None:
        if self._fits(text):
            item = self._part("refusal")
            item.pieces.append(text)
            self.tell("response.refusal.delta", **self._in_part(item), delta=text)

    def cite(self, citation: JSON) -> None:
        item = self._open
        if not isinstance(item, MessageItem) or item.kind != "output_text":
            return
        if self._part_size > self._cited[1]:  # else it is for the same text
            self._cited = (self._cited[1], self._part_size)
        shown = annotation(citation, *self._cited)
        if shown is None:
            return
        number = len(item.annotations)
        item.annotations.append(shown)
        self.tell(
            "response.output_text.annotation.added",
            **self._in_part(item),
            annotation_index=number,
            annotation=shown,
        )

    def logprobs(self, entries: list[JSON]) -> None:
        item = self._open
        if isinstance(item, MessageItem) and item.kind == "output_text":
            item.logprobs += entries
            self.tell(
                "response.output_text.delta",
                **self._in_part(item),
                delta="",
                logprobs=entries,
            )

    def think(self, text: str) -> None:
        if not self._fits(text):
            return
        item = self._reasoning()
        where = {"item_id": item.id, "output_index": item.index, "summary_index": 0}
        if not item.pieces:
            part = {"type": "summary_text", "text": ""}
            kind = "response.reasoning_summary_part.added"
            self.tell(kind, **where, part=part)
        item.pieces.append(text)
        self.tell("response.reasoning_summary_text.delta", **where, delta=text)

    def sign(self, proof: str) -> None:
        """End the open reasoning, or a block without text, with its proof."""
        self._reasoning().proof = proof
        self.close()

    def redact(self, proof: str) -> None:
        """A block of reasoning that only its provider can read."""
        self.close()
        self.sign(proof)

    def _reasoning(self) -> ReasoningItem:
        """The reasoning that is open, or a new one."""
        item = self._open
        if not isinstance(item, ReasoningItem):
            self.close()
            item = self._open = ReasoningItem(self._item_id("rs"), len(self._output))
            self._add(item.index, item.shown())
        return item

    def call(self, call: ToolCallStarted) -> None:
        self.close()
        id = self._item_id("ctc" if call.custom else "fc")
        item = self._calls[call.index] = CallItem(id, len(self._output), call)
        self._add(item.index, item.shown("in_progress"))

    def arguments(self, index: int, text: str) -> None:
        """A fragment; one for a call that was complete before has nowhere to go."""
        if (item := self._calls.get(index)) is not None:
            self._written(item, text)

    def _written(self, item: CallItem, text: str) -> None:
        if not self._fits(text):
            return
        item.pieces.append(text)
        kind = (
            "response.custom_tool_call_input.delta"
            if item.call.custom
            else "response.function_call_arguments.delta"
        )
        self.tell(kind, item_id=item.id, output_index=item.index, delta=text)

    # --- items from their beginning to their end

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._own}_{len(self._output)}"

    def _add(self, index: int, shown: JSON) -> None:
        self._output.append(None)
        kind = "response.output_item.added"
        self.tell(kind, output_index=index, item=shown)

    def _complete(self, index: int, shown: JSON) -> None:
        done = self._output[index] = _encode(shown)
        kind = "response.output_item.done"
        self.tell(kind, output_index=index, item=msgspec.Raw(done))

    def close(self, *, calls: bool = False) -> None:
        """
        Complete what cannot be added to any more.

        :param calls: all calls, too, and not only those whose arguments are whole.
        """
        item, self._open = self._open, None
        if isinstance(item, MessageItem):
            self._close_part(item)
            self._complete(item.index, item.shown("completed"))
        elif item is not None:
            self._close_reasoning(item)
        for number in [n for n, c in self._calls.items() if calls or c.complete()]:
            self._close_call(self._calls.pop(number))

    def _in_part(self, item: MessageItem) -> dict[str, JSON]:
        """Where the open part stands."""
        return {
            "item_id": item.id,
            "output_index": item.index,
            "content_index": len(item.parts),
        }

    def _close_part(self, item: MessageItem) -> None:
        if not item.kind:
            return
        self._text = b""
        self._cited = (0, 0)
        where, part = self._in_part(item), item.part()
        if item.kind == "refusal":
            told = {"refusal": part["refusal"]}
            self.tell("response.refusal.done", **where, **told)
        else:
            told = {"text": part["text"], "logprobs": part["logprobs"]}
            self.tell("response.output_text.done", **where, **told)
        self.tell("response.content_part.done", **where, part=part)
        item.parts.append(part)
        item.kind = ""

    def _close_reasoning(self, item: ReasoningItem) -> None:
        # Without any, a guest would send back what looks like an item that its next
        # provider has stored.
        item.proof = item.proof or UNPROVEN
        shown = item.shown()
        where = {"item_id": item.id, "output_index": item.index, "summary_index": 0}
        for part in shown["summary"]:
            kind = "response.reasoning_summary_text.done"
            self.tell(kind, **where, text=part["text"])
            self.tell("response.reasoning_summary_part.done", **where, part=part)
        self._complete(item.index, shown)

    def _close_call(self, item: CallItem) -> None:
        where = {"item_id": item.id, "output_index": item.index}
        if item.call.custom:
            kind = "response.custom_tool_call_input.done"
            self.tell(kind, **where, input=item.written)
        else:
            if not item.pieces:  # readers parse what they are given
                self._written(item, "{}")
            kind = "response.function_call_arguments.done"
            name = item.shown("completed")["name"]
            self.tell(kind, **where, name=name, arguments=item.written)
        self._complete(item.index, item.shown("completed"))
