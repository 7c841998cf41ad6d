"""Readers for OpenAI's streams (chat and completions) and replies that pass through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
from attrs import define, field

from modelplex.errors import BadRequest, GatewayError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire import sse
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.errors import inner
from modelplex.wire.openai.usage import UsageShape, usage_of
from modelplex.wire.tap import (
    UNREADABLE,
    DecodeError,
    Framing,
    Noted,
    Seen,
    WholeTap,
    comment_only,
    cut_short,
    is_error,
    meant,
    no_json,
    without_id,
    wrong_with,
)

_NULL_USAGE = re.compile(rb',[ ]*"usage"[ ]*:[ ]*null')
_EMPTY = (b"null", b'""', b"[]", b"{}")
_ABSENT = msgspec.Raw()  # not None: a union with Raw takes nothing but null
_NO_ERROR = (b"", b"null")
_DETAILS = b'"reasoning_details"'


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
    :param noted: is told of the proofs in ``reasoning_details``.
    """

    _decode_error: DecodeError
    hide_usage: bool
    _noted: Noted | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    _framing: Framing = field(factory=Framing)

    def feed(self, chunk: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        # One event in one chunk, as nearly all are: its only line ends are its last
        # two bytes.
        if (
            chunk.find(b"\n") == len(chunk) - 2
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n")
            and not self._framing.frames.unfinished
            and b"\r" not in chunk
        ):
            return self._event(chunk[6:-2], chunk)
        try:
            return self._framing.feed(chunk, self._event)
        except UpstreamMalformed as e:
            self.error = e
            return b""

    def eof(self) -> bytes:
        if self.done or self.error is not None:
            return b""
        rest = self._framing.eof(self._event)
        if self.error is None and self.finish is None and not self.done:
            self.error = cut_short()
        return rest

    def fail(self, error: GatewayError) -> bytes:
        return sse.encode(msgspec.json.encode({"error": inner(error)}))

    def _event(self, payload: bytes | None, frame: bytes) -> bytes:
        if self.done or self.error is not None:
            return b""
        if b"id:" in frame:
            frame = without_id(frame)
        if not payload:
            if payload is None and is_error(frame):
                self.error = meant(self._decode_error, frame)
            return comment_only(payload, frame)
        if payload.startswith(b"[DONE]"):
            self.done = True
            return frame
        try:
            chunk = (_CHUNK if self.meaningful else _FIRST_CHUNK).decode(payload)
        except msgspec.ValidationError:
            self.error = wrong_with(payload, self._decode_error)
            return frame if self.error is None else b""
        except UNREADABLE:
            self.error = no_json()
            return b""
        if chunk.error is not _ABSENT and bytes(chunk.error) != b"null":
            self.error = meant(self._decode_error, payload)
            return b""
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self.finish = choice.finish_reason
        if not self.meaningful:
            self.meaningful = self.finish is not None or _says_something(
                cast(_FirstChunk, chunk)
            )
        if self._noted is not None and _DETAILS in payload:
            for proof in _proofs(payload):
                self._noted(proof)
        if isinstance(chunk.usage, UsageShape):
            self.usage = usage_of(chunk.usage)
            if self.hide_usage and not chunk.choices:
                return b""
        elif self.hide_usage and chunk.usage is None:
            return _without_null_usage(payload, frame)
        return frame


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


# --- proofs -----------------------------------------------------------------


class _Detail(msgspec.Struct):
    signature: str | None = None
    data: str | None = None


class _Told(msgspec.Struct):
    reasoning_details: list[_Detail] | None = None


class _TellingChoice(msgspec.Struct):
    delta: _Told | None = None
    message: _Told | None = None


class _Telling(msgspec.Struct):
    choices: list[_TellingChoice] | None = None


_TELLING = msgspec.json.Decoder(_Telling)


def _proofs(payload: bytes) -> Iterator[str]:
    """The proofs of a chunk, or of a whole reply, as OpenRouter writes them."""
    try:
        choices = _TELLING.decode(payload).choices or ()
    except UNREADABLE:
        return
    for choice in choices:
        told = choice.delta or choice.message or _Told()
        for detail in told.reasoning_details or ():
            yield from (proof for proof in (detail.signature, detail.data) if proof)


# --- whole replies ----------------------------------------------------------


class _Whole(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: UsageShape | None = None
    error: msgspec.Raw = _ABSENT


_WHOLE = msgspec.json.Decoder(_Whole)


def read_reply(body: bytes, decode_error: DecodeError) -> Seen:
    """What a reply that is not streamed says: of chat, completions or embeddings."""
    reply = _WHOLE.decode(body)
    if bytes(reply.error) not in _NO_ERROR:
        raise decode_error(200, body)
    finish = None
    for choice in reply.choices or ():
        finish = choice.finish_reason or finish
    usage = None if reply.usage is None else usage_of(reply.usage)
    proofs = tuple(_proofs(body)) if _DETAILS in body else ()
    return Seen(usage, finish, proofs)


def whole_tap(
    decode_error: DecodeError,
    limit: int,
    rewrite: Callable[[bytes], bytes] | None = None,
    noted: Noted | None = None,
) -> WholeTap:
    """
    Passes a reply that is not streamed: of chat, completions or embeddings.

    :param decode_error: of the dialect that the reply comes in.
    :param rewrite: makes it one of OpenAI's, if it comes in another.
    """
    return WholeTap(decode_error, limit, read_reply, rewrite, noted)
