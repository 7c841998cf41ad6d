"""
Readers for responses that pass through: streams event by event, and whole ones.

Only whole events are passed on, so that a stream that is cut in the middle of one can
still end with a clean error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import GatewayError, UpstreamCut, UpstreamError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire import sse
from modelplex.wire.responses.errors import error_event, failure
from modelplex.wire.responses.usage import usage_of

_ENDED = re.compile(rb"(?>\r\n|\n|\r){2,}")  # an event, and the empty line after it
_NOTHING = msgspec.Raw()
_BEGINS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset(
    {
        *("response.completed", "response.incomplete", "response.failed"),
        *("response.cancelled", "error"),
    }
)
_WORTHLESS = frozenset(
    {
        *("response.output_item.added", "response.content_part.added"),
        *("response.reasoning_summary_part.added", "response.reasoning_part.added"),
    }
)
# An item of another kind is work that the provider has begun, and counts as an answer.
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


class _Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int | None = None
    response: msgspec.Raw = _NOTHING


class _Item(msgspec.Struct):
    type: str | None = None


class _FirstEvent(msgspec.Struct):
    delta: str | None = None
    item: _Item | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    status: str | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


_EVENT = msgspec.json.Decoder(_Event)
_FIRST = msgspec.json.Decoder(_FirstEvent)
_RESPONSE = msgspec.json.Decoder(_Response)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@define(eq=False)
class ResponsesTap:
    """
    Passes a stream of response events and reads it on the way.

    :ivar response_id: of the response that passes, for an error that must end it.
    :ivar sequence: the number of the last event; -1 when events have none.
    :ivar response: the finished response object, for whoever remembers it.
    """

    _decode_error: Callable[[int, bytes], GatewayError]
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    response_id: str = ""
    sequence: int = -1
    response: bytes = b""
    _frames: sse.Frames = field(factory=sse.Frames)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        try:
            block = self._frames.feed(chunk)
        except UpstreamMalformed as e:
            self.error = e
            return b""
        if not block:
            return b""
        if b"\r" in block:
            return b"".join(self._event(*pair) for pair in _framed(block))
        cut = block.find(b"\n\n")
        if cut == len(block) - 2:  # one event, as in nearly all chunks
            return self._event(_payload(block[:cut]), block)
        passed = [
            self._event(_payload(event), event + b"\n\n") if event else b"\n\n"
            for event in block.split(b"\n\n")[:-1]
        ]
        return b"".join(passed)

    def eof(self) -> bytes:
        rest = b""
        unfinished = self._frames.rest
        if not self.done and self.error is None and unfinished.strip():
            # SDKs drop an event without its empty line.
            rest = self.feed(b"\n" if unfinished.endswith(b"\n") else b"\n\n")
        if self.error is None and not self.done:
            self.error = UpstreamCut("the provider's stream ended before the answer")
        return rest

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        if not payload:
            # A comment is a provider's keep-alive; an empty event says nothing.
            return frame if payload is None and sse.is_comment(frame) else b""
        if payload.startswith(b"[DONE]"):
            self.error = UpstreamCut("the provider's stream ended before the answer")
            return b""
        try:
            event = _EVENT.decode(payload)
        except msgspec.ValidationError:
            return self._untyped(payload, frame)
        except (msgspec.DecodeError, RecursionError):
            self.error = UpstreamMalformed("the provider's stream holds invalid JSON")
            return b""
        if event.sequence_number is not None:
            self.sequence = event.sequence_number
        kind = event.type
        if kind in _ENDS:
            self._end(kind, event.response, payload)
            return b"" if self.error is not None else frame
        if not self.meaningful:
            self._look(kind, event.response, payload)
        return frame

    def _untyped(self, payload: bytes, frame: bytes) -> bytes:
        """JSON of a shape we do not know: not ours to judge, unless it is an error."""
        try:
            said = _OBJECT.decode(payload).get("error", b"null")
        except (msgspec.DecodeError, RecursionError):
            return frame
        if bytes(said) == b"null":
            return frame
        self.error = self._decode_error(200, payload)
        return b""

    def _look(self, kind: str, response: msgspec.Raw, payload: bytes) -> None:
        """Whether this event is the first that says something."""
        try:
            if kind in _BEGINS:
                if response:
                    self.response_id = _RESPONSE.decode(response).id or ""
            elif kind.endswith(".delta"):
                self.meaningful = bool(_FIRST.decode(payload).delta)
            elif kind in _WORTHLESS:
                item = _FIRST.decode(payload).item
                self.meaningful = item is not None and item.type not in _ITEMS
            else:
                self.meaningful = kind.startswith("response.")
        except (msgspec.DecodeError, RecursionError):
            pass  # it passes, and means nothing to us

    def _end(self, kind: str, raw: msgspec.Raw, payload: bytes) -> None:
        if kind == "error":
            try:
                self.error = error_event(payload)
            except RecursionError:  # deep, and read with less of the stack in use
                self.error = UpstreamError("the provider broke off with an error")
            return
        try:
            response = _RESPONSE.decode(raw or b"{}")
        except (msgspec.DecodeError, RecursionError):
            response = _Response()
        usage = usage_of(response.usage)
        self.usage = self.usage if usage is None else usage
        self.finish = kind.removeprefix("response.")
        if self.finish == "failed":
            self.error = failure(response.error or "the provider's response failed")
        elif self.finish == "cancelled":
            self.error = UpstreamError("the provider cancelled its response")
        else:
            reason = response.incomplete_details
            if reason is not None and reason.reason:
                self.finish = reason.reason
            self.response = bytes(raw)
            self.meaningful = self.done = True


def _payload(event: bytes) -> bytes | None:
    """The same as `sse.data`, at once for an event of two lines as OpenAI writes it."""
    if event.startswith(b"event: "):
        cut = event.find(b"\n")
        if event.startswith(b"data: ", cut + 1) and event.find(b"\n", cut + 1) < 0:
            return event[cut + 7 :]
    return sse.data(event)


def _framed(block: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """Each event of `block` whatever its line ends: its payload, and it as it came."""
    start = 0
    for ended in _ENDED.finditer(block):
        yield sse.data(block[start : ended.start()]), block[start : ended.end()]
        start = ended.end()


@define(eq=False)
class WholeResponseTap:
    """
    Passes one response that is not streamed, whole, and reads it.

    :ivar limit: bytes it may have.
    :ivar response: the response object, for whoever remembers it.
    """

    _decode_error: Callable[[int, bytes], GatewayError]
    limit: int
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    response: bytes = b""
    _chunks: list[bytes] = field(factory=list)
    _size: int = 0

    def feed(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        if self._size > self.limit:
            self._chunks.clear()
            self.error = UpstreamMalformed(
                f"the provider's reply is over {self.limit} bytes"
            )
        elif self.error is None:
            self._chunks.append(chunk)
        return b""

    def eof(self) -> bytes:
        if self.error is not None:
            return b""
        body = b"".join(self._chunks)
        self._chunks.clear()
        try:
            self._read(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.error = UpstreamMalformed("the provider's reply is not JSON")
        if self.error is not None:
            return b""
        self.meaningful = self.done = True
        return body

    def _read(self, body: bytes) -> None:
        _OBJECT.decode(body)
        try:
            response = _RESPONSE.decode(body)
        except msgspec.ValidationError:
            return  # of a shape we do not know: not ours to judge
        if response.error is not None:
            told = response.object == "response" or response.status is not None
            self.error = (
                failure(response.error) if told else self._decode_error(200, body)
            )
            return
        reason = response.incomplete_details
        self.finish = (reason.reason if reason else None) or response.status
        self.usage = usage_of(response.usage)
        self.response = body
