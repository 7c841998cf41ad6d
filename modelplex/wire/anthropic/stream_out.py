"""
Canonical events to a stream of the Messages API, as strict as its SDKs read it.

Blocks come one after another with indexes from 0, usage is always there, and every
reply has a block. Parallel tool calls may arrive mixed: then all but the first wait.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError
from modelplex.events import (
    Cited,
    Event,
    Finished,
    FinishReason,
    HostCall,
    HostResult,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.wire import sse
from modelplex.wire.anthropic.errors import encode_error_event
from modelplex.wire.anthropic.reply import message, result_block, stopped, use_block
from modelplex.wire.anthropic.tool_words import wire_input
from modelplex.wire.anthropic.words import (
    is_citation,
    own_signature,
    wire_usage,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.typed import is_object

PING = sse.encode(b'{"type":"ping"}', "ping")

_json = msgspec.json.encode


@define(eq=False)
class _Block:
    """
    A content block that is open, or waits for the ones before it.

    :ivar start: its ``content_block``.
    :ivar call: the index of the tool call that it is.
    :ivar member: a tool's input that is no JSON object is sent as this member of one.
    :ivar deltas: what is still to be sent, as JSON.
    :ivar written: what it consists of, as far as that has to be known at its end.
    :ivar spoken: there is something to open it for.
    :ivar sealed: nothing more belongs to it.
    :ivar begun: the first of a call's arguments was seen.
    """

    start: dict[str, Any]
    call: int | None = None
    member: str | None = None
    deltas: list[bytes] = field(factory=list)
    written: list[str] = field(factory=list)
    spoken: bool = False
    opened: bool = False
    sealed: bool = False
    begun: bool = False

    @property
    def kind(self) -> str:
        kind: str = self.start["type"]
        return kind

    @property
    def bare(self) -> bool:
        """It is a signature of what has no text of its own."""
        return self.kind == "thinking" and self.sealed and not self.written

    def text(self, text: str) -> None:
        """More text; it begins with the first that is not white space."""
        if not self.spoken:
            self.written.append(text)
            if not text.strip():
                return
            text, self.spoken = "".join(self.written), True
        self.deltas.append(b'{"type":"text_delta","text":' + _json(text) + b"}")

    def thinking(self, text: str) -> None:
        self.spoken = True
        self.written.append(text)
        delta = b'{"type":"thinking_delta","thinking":' + _json(text) + b"}"
        self.deltas.append(delta)

    def signature(self, signature: str) -> None:
        self.spoken = self.sealed = True
        delta = b'{"type":"signature_delta","signature":' + _json(signature) + b"}"
        self.deltas.append(delta)

    def arguments(self, piece: str) -> None:
        """More of a call's arguments; whatever they are, the input is an object."""
        if self.member is None:
            self.written.append(piece)
            if not self.begun:
                piece = "".join(self.written).lstrip()
                if not piece:
                    return
                self.begun = True
                if not piece.startswith("{"):
                    self.wrap("_raw")
        if self.member is not None:
            piece = _json(piece)[1:-1].decode()
        self._partial(piece)

    def whole(self, arguments: str) -> None:
        """All of a call's arguments at once."""
        self._partial(_json(wire_input(arguments, custom=False)).decode())

    def wrap(self, member: str) -> None:
        self.member = member
        self._partial(f'{{"{member}":"')

    def _partial(self, piece: str) -> None:
        delta = b'{"type":"input_json_delta","partial_json":' + _json(piece) + b"}"
        self.deltas.append(delta)

    def complete(self) -> bool:
        """Whether no more of it can come, as far as it can be told."""
        if self.call is None:
            return True
        if self.member is not None or not self.written:
            return False
        return self.written[-1].rstrip().endswith("}") and is_object(
            "".join(self.written)
        )

    def seal(self) -> None:
        """Add what a block of its kind has at its end."""
        if self.kind == "thinking" and not self.sealed:
            self.signature(own_signature("".join(self.written)))
        if self.member is not None:
            self._partial('"}')


@define(eq=False)
class AnthropicEncoder:
    """See `modelplex.wire.dialect.StreamEncoder`."""

    _answering: Answering
    _id: str = ""
    _usage: Usage = field(factory=Usage)
    _finish: Finished = field(factory=lambda: Finished(FinishReason.STOP))
    _started: bool = False
    _called: bool = False
    _index: int = 0  # of the first block in the queue
    _queue: deque[_Block] = field(factory=deque)
    _calls: dict[int, _Block] = field(factory=dict)

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text) | RefusalDelta(text) if text:
                self._block("text", text="").text(text)
            case ThinkingDelta(text) if text:
                self._block("thinking", thinking="", signature="").thinking(text)
            case ToolCallDelta(index, arguments) if arguments:
                # A fragment for a call that was complete before has nowhere to go.
                if (call := self._calls.get(index)) is not None:
                    call.arguments(arguments)
            case ToolCallStarted():
                self._call(event)
            case ThinkingSigned(signature):
                self._block("thinking", thinking="", signature="").signature(signature)
            case ThinkingRedacted(content):
                start = {"type": "redacted_thinking", "data": content}
                self._queue.append(_Block(start, spoken=True, sealed=True))
            case Cited(citation):
                last = self._queue[-1] if self._queue else None
                if last is not None and last.kind == "text" and is_citation(citation):
                    delta = {"type": "citations_delta", "citation": citation}
                    last.deltas.append(_json(delta))
                    last.spoken = True
            case HostCall():
                self._host_call(event)
            case HostResult():
                block = _Block(result_block(event), spoken=True, sealed=True)
                self._queue.append(block)
            case Started():
                self._id = event.id
            case UsageReported(usage):
                self._usage = usage
            case Finished():
                self._finish = event
            case _:
                pass  # an empty delta, or what the dialect has no word for
        return b"".join(self._ready(ending=False))

    def end(self) -> bytes:
        out = self._ready(ending=True)
        if not self._index:  # clients count on a block
            empty = _Block({"type": "text", "text": ""}, spoken=True)
            self._queue.append(empty)
            out += self._ready(ending=True)
        delta = {
            "type": "message_delta",
            "delta": stopped(self._finish, self._called),
            "usage": wire_usage(self._usage),
        }
        out.append(sse.encode(_json(delta), "message_delta"))
        out.append(sse.encode(b'{"type":"message_stop"}', "message_stop"))
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        return encode_error_event(error)

    def _block(self, type: str, **fields: str) -> _Block:
        """The last block if more can be added to it, else a new one."""
        if self._queue:
            last = self._queue[-1]
            if last.kind == type and not last.sealed:
                return last
        block = _Block({"type": type, **fields})
        self._queue.append(block)
        return block

    def _call(self, event: ToolCallStarted) -> None:
        start = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
        block = _Block(start, call=event.index, spoken=True)
        if event.custom:
            block.wrap("input")
        self._called = True
        self._calls[event.index] = block
        self._queue.append(block)

    def _host_call(self, call: HostCall) -> None:
        """One that Modelplex makes itself, and of which everything is known."""
        start = {**use_block(call), "input": {}}
        block = _Block(start, spoken=True, sealed=True)
        block.whole(call.arguments)
        self._queue.append(block)

    def _ready(self, *, ending: bool) -> list[bytes]:
        """What can be sent by now: the first block, and those after complete ones."""
        out: list[bytes] = []
        while self._queue:
            # Agents show the last block of a reply. So a bare signature waits for
            # what it is of, and with nothing after it (Gemini's at the end of a
            # text, which it does without) is left out.
            if self._index and all(block.bare for block in self._queue):
                break
            block = self._queue[0]
            last = len(self._queue) == 1
            done = block.sealed or ending or (not last and block.complete())
            if done:
                block.seal()
            if block.spoken:
                self._send(block, out)
            if not done:
                break
            if block.opened:
                stop = b'{"type":"content_block_stop","index":%d}' % self._index
                out.append(sse.encode(stop, "content_block_stop"))
                self._index += 1
            if block.call is not None:
                del self._calls[block.call]
            self._queue.popleft()
        return out

    def _send(self, block: _Block, out: list[bytes]) -> None:
        if not self._started:
            self._started = True
            start = message(self._id, self._answering, self._usage)
            start = {"type": "message_start", "message": start}
            out += [sse.encode(_json(start), "message_start"), PING]
        if not block.opened:
            block.opened = True
            begin = b'{"type":"content_block_start","index":%d,"content_block":%b}'
            begun = begin % (self._index, _json(block.start))
            out.append(sse.encode(begun, "content_block_start"))
        for delta in block.deltas:
            out.append(
                b"event: content_block_delta\n"
                b'data: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
                % (self._index, delta)
            )
        block.deltas.clear()
