"""Canonical events to chat completion chunks that the strictest readers accept."""

from __future__ import annotations

import msgspec

from modelplex.errors import GatewayError
from modelplex.events import (
    JSON,
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    TokenLogprobs,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.wire.dialect import Answering
from modelplex.wire.openai.errors import inner
from modelplex.wire.openai.shown import (
    FINISH,
    annotation,
    redacted,
    reply_id,
    signed,
)
from modelplex.wire.openai.usage import usage_json

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"


class ChatStream:
    """
    A `StreamEncoder`; its bytes are put together by hand, for there are many.

    What kills a reader out there, and is therefore kept: the first chunk has the
    role; the id, type and name of a call come once and its index always; every choice
    has a delta; the usage chunk is the last one. Python's SDK joins the strings in
    entries of the same index, so each member of an entry comes once, too.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._begun = False
        self._close = b',"logprobs":null,"finish_reason":null}]'
        self._end = b',"usage":null}\n\n' if answering.include_usage else b"}\n\n"
        self._last = self._close + self._end
        self._head = b""  # up to the choices
        self._open = b""  # up to the delta
        self._text = b""  # up to the text
        self._open_block = ""  # text or thinking
        self._length = 0  # characters of content
        self._block_start = 0
        self._thoughts = -1  # index of the latest block of reasoning
        self._silent: set[int] = set()  # calls that have no argument yet
        self._custom: set[int] = set()
        self._refused = False
        self._cited: list[JSON] = []
        self._usage = Usage()

    def encode(self, event: Event) -> bytes:
        if type(event) is TextDelta and self._open_block == "text":
            self._length += len(event.text)
            return b"%b%b}%b" % (self._text, _encode(event.text), self._last)
        if isinstance(event, UsageReported):
            self._usage = event.usage
            return b""
        start = b""
        if not self._begun:
            start = self._begin(event.id if isinstance(event, Started) else "")
        return start + self._said(event)

    def end(self) -> bytes:
        if not self._answering.include_usage:
            return _DONE
        usage = _encode(usage_json(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, _DONE)

    def fail(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % _encode({"error": inner(error)})

    def _begin(self, id: str) -> bytes:
        self._begun = True
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk",' % _encode(
            reply_id(id, self._answering.id, "chatcmpl-")
        )
        self._head += b'"created":%d,"model":%b,"choices":' % (
            self._answering.created,
            _encode(self._answering.model),
        )
        self._open = self._head + b'[{"index":0,"delta":'
        self._text = self._open + b'{"content":'
        return self._delta(b'{"role":"assistant","content":"","refusal":null}')

    def _delta(self, delta: bytes) -> bytes:
        return self._open + delta + self._last

    def _said(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                if self._open_block != "text":
                    self._open_block, self._block_start = "text", self._length
                self._length += len(text)
                return self._delta(b'{"content":%b}' % _encode(text)) if text else b""
            case ThinkingDelta(text):
                return self._thought(text) if text else b""
            case ToolCallStarted():
                return self._call(event)
            case ToolCallDelta(index, arguments):
                return self._arguments(index, arguments) if arguments else b""
            case Cited(citation):
                shown = annotation(citation, self._block_start, self._length)
                if shown is not None:
                    self._cited.append(shown)
                return b""
            case TokenLogprobs(content):
                logprobs = _encode({"content": content, "refusal": None})
                close = b',"logprobs":%b,"finish_reason":null}]' % logprobs
                return self._open + b"{}" + close + self._end
            case ThinkingSigned(signature):
                if self._open_block != "thinking":  # a block without any text
                    self._thoughts += 1
                self._open_block = ""
                return self._detail(signed(self._thoughts, signature))
            case ThinkingRedacted(content):
                self._open_block = ""
                self._thoughts += 1
                return self._detail(redacted(self._thoughts, content))
            case RefusalDelta(text) if text:
                self._open_block = ""
                self._refused = True
                return self._delta(b'{"refusal":%b}' % _encode(text))
            case Finished():
                return self._finish(event)
            case _:
                return b""

    def _thought(self, text: str) -> bytes:
        """
        The same text for the readers of each of the three names it goes by.

        With its index it can be told later to which block a signature belongs.
        """
        if self._open_block != "thinking":
            self._open_block = "thinking"
            self._thoughts += 1
        said = _encode(text)
        return self._delta(
            b'{"reasoning_content":%b,"reasoning":%b,"reasoning_details":'
            b'[{"type":"reasoning.text","text":%b,"index":%d}]}'
            % (said, said, said, self._thoughts)
        )

    def _detail(self, entry: JSON) -> bytes:
        return self._delta(_encode({"reasoning_details": [entry]}))

    def _call(self, call: ToolCallStarted) -> bytes:
        self._open_block = ""
        if call.custom:
            self._custom.add(call.index)
            kind, rest = "custom", {"name": call.name, "input": ""}
        else:
            self._silent.add(call.index)
            kind, rest = "function", {"name": call.name, "arguments": ""}
        entry = {"index": call.index, "id": call.id, "type": kind, kind: rest}
        return self._delta(_encode({"tool_calls": [entry]}))

    def _arguments(self, index: int, text: str) -> bytes:
        self._silent.discard(index)
        key = (
            b'"custom":{"input"'
            if index in self._custom
            else (b'"function":{"arguments"')
        )
        return self._delta(
            b'{"tool_calls":[{"index":%d,%b:%b}}]}' % (index, key, _encode(text))
        )

    def _finish(self, finished: Finished) -> bytes:
        pieces = [self._arguments(index, "{}") for index in sorted(self._silent)]
        if self._cited:  # at once, or Python's reader wants an index in each
            pieces.append(self._delta(_encode({"annotations": self._cited})))
        refusal = finished.explanation
        if refusal and finished.reason is FinishReason.REFUSAL and not self._refused:
            pieces.append(self._delta(b'{"refusal":%b}' % _encode(refusal)))
        reason = _encode(FINISH[finished.reason])
        close = b'{},"logprobs":null,"finish_reason":%b}]' % reason
        pieces.append(self._open + close + self._end)
        return b"".join(pieces)
