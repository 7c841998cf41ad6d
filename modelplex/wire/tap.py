"""
Readers for replies that pass through: OpenAI's streams, and whole JSON replies.

A stream is relayed event by event, as it came. Only whole events are passed on, so
that a stream that is cut in the middle of one can still end with a clean error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
from attrs import define, field

from modelplex.errors import (
    BadRequest,
    GatewayError,
    UpstreamCut,
    UpstreamMalformed,
)
from modelplex.events import Usage
from modelplex.wire import sse
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.usage import UsageShape, usage_of

_NULL_USAGE = re.compile(rb',[ ]*"usage"[ ]*:[ ]*null')
_ENDED = re.compile(rb"(?>\r\n|\n|\r){2,}")  # an event, and the empty line after it
_ID = re.compile(rb"^id:[^\r\n]*(?:\r\n|\n|\r)", re.MULTILINE)
_EMPTY = (b"null", b'""', b"[]", b"{}")
_ABSENT = msgspec.Raw()  # not None: a union with Raw takes nothing but null
_NO_ERROR = (b"", b"null")


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: UsageShape | msgspec.UnsetType | None = msgspec.UNSET
    error: msgspec.Raw = _ABSENT


class _FirstChoice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | None = None
    text: str | None = None  # completions have no delta
    finish_reason: str | None = None


class _FirstChunk(msgspec.Struct):
    choices: list[_FirstChoice] | None = None
    usage: UsageShape | msgspec.UnsetType | None = msgspec.UNSET
    error: msgspec.Raw = _ABSENT


_CHUNK = msgspec.json.Decoder(_Chunk)
_FIRST_CHUNK = msgspec.json.Decoder(_FirstChunk)


@define(eq=False)
class StreamTap:
    """
    Passes an OpenAI stream (chat or completions) and reads it on the way.

    :ivar hide_usage: usage was asked for by us, not by the guest, who must not see
        it: neither the closing chunk nor the nulls in all the others.
    """

    _decode_error: Callable[[int, bytes], GatewayError]
    hide_usage: bool
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    _frames: sse.Frames = field(factory=sse.Frames)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        # One event in one chunk, as nearly all are: its only line ends are its last
        # two bytes.
        if (
            chunk.find(b"\n") == len(chunk) - 2
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n")
            and not self._frames.unfinished
            and b"\r" not in chunk
        ):
            return self._event(chunk[6:-2], chunk)
        try:
            block = self._frames.feed(chunk)
        except UpstreamMalformed as e:
            self.error = e
            return b""
        if not block:
            return b""
        if b"\r" in block:
            return b"".join(self._event(*pair) for pair in _framed(block))
        passed = [
            self._event(sse.data(event), event + b"\n\n") if event else b"\n\n"
            for event in block.split(b"\n\n")[:-1]
        ]
        return b"".join(passed)

    def eof(self) -> bytes:
        rest = b""
        unfinished = self._frames.rest
        if not self.done and self.error is None and unfinished.strip():
            # Both SDKs drop or misread an event without its empty line.
            rest = self.feed(b"\n" if unfinished.endswith(b"\n") else b"\n\n")
        if self.error is None and self.finish is None and not self.done:
            self.error = UpstreamCut("the provider's stream ended before the answer")
        return rest

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        if b"id:" in frame and _ID.search(frame):
            # It sticks in a reader: the next comment, ours or the provider's, would be
            # an event without data to the Python SDK.
            frame = _ID.sub(b"", frame)
        if not payload:
            # A comment is a provider's keep-alive. An event without data, or with an
            # empty one, kills both official SDKs.
            told = payload is None and frame.startswith(b":")
            return frame if told and sse.is_comment(frame) else b""
        if payload.startswith(b"[DONE]"):
            self.done = True
            return frame
        try:
            chunk = (_CHUNK if self.meaningful else _FIRST_CHUNK).decode(payload)
        except msgspec.ValidationError:
            return frame  # JSON of a shape we do not know: not ours to judge
        except (msgspec.DecodeError, RecursionError):
            self.error = UpstreamMalformed("the provider's stream holds invalid JSON")
            return b""
        if chunk.error is not _ABSENT and bytes(chunk.error) != b"null":
            self.error = self._decode_error(200, payload)
            return b""
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self.finish = choice.finish_reason
        if not self.meaningful:
            self.meaningful = self.finish is not None or _says_something(
                cast(_FirstChunk, chunk)
            )
        if isinstance(chunk.usage, UsageShape):
            self.usage = usage_of(chunk.usage)
            if self.hide_usage and not chunk.choices:
                return b""
        elif self.hide_usage and chunk.usage is None:
            return _without_null_usage(payload, frame)
        return frame


def _framed(block: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """Each event of `block` whatever its line ends: its payload, and it as it came."""
    start = 0
    for ended in _ENDED.finditer(block):
        yield sse.data(block[start : ended.start()]), block[start : ended.end()]
        start = ended.end()


def _without_null_usage(payload: bytes, frame: bytes) -> bytes:
    """The event `frame` without the member ``"usage":null`` of its `payload`."""
    # A raw quote cannot stand inside a JSON string, so the only one is the member.
    if frame.count(b'"usage"') == 1:
        hidden = frame.replace(b',"usage":null', b"")
        if len(hidden) < len(frame):
            return hidden
        hidden, found = _NULL_USAGE.subn(b"", frame)
        if found:
            return hidden
    try:
        return sse.encode(open_object(payload).splice({"usage": None}))
    except BadRequest:
        return frame  # not ours to judge


def _says_something(chunk: _FirstChunk) -> bool:
    for choice in chunk.choices or ():
        if choice.text:
            return True
        for key, value in (choice.delta or {}).items():
            if key != "role" and bytes(value) not in _EMPTY:
                return True
    return False


class _Whole(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: UsageShape | None = None
    error: msgspec.Raw = _ABSENT


_WHOLE = msgspec.json.Decoder(_Whole)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@define(eq=False)
class WholeTap:
    """
    Passes one JSON reply, whole, and reads it.

    :ivar limit: bytes the reply may have.
    :ivar rewrite: makes the reply one of OpenAI's shape, if it comes in another.
    """

    _decode_error: Callable[[int, bytes], GatewayError]
    limit: int
    rewrite: Callable[[bytes], bytes] | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
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
            return self._read(body)
        except msgspec.ValidationError:
            return self._unread(body)
        except (msgspec.DecodeError, RecursionError):
            self.error = UpstreamMalformed("the provider's reply is not JSON")
        except GatewayError as e:
            self.error = e
        return b""

    def _unread(self, body: bytes) -> bytes:
        """An object of a shape we do not know passes, if all of it is there."""
        try:
            _OBJECT.decode(body)
        except msgspec.ValidationError:
            self.error = UpstreamMalformed("the provider's reply is no JSON object")
        except (msgspec.DecodeError, RecursionError):
            self.error = UpstreamMalformed("the provider's reply is not JSON")
        else:
            self.meaningful = self.done = True
            return body
        return b""

    def _read(self, body: bytes) -> bytes:
        reply = _WHOLE.decode(body)
        if bytes(reply.error) not in _NO_ERROR:
            raise self._decode_error(200, body)
        if self.rewrite is not None:
            body = self.rewrite(body)
            reply = _WHOLE.decode(body)
        if reply.usage is not None:
            self.usage = usage_of(reply.usage)
        for choice in reply.choices or ():
            self.finish = choice.finish_reason or self.finish
        self.meaningful = self.done = True
        return body
