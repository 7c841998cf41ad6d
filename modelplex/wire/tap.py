"""
What all readers of replies that pass through have in common, whatever the dialect.

A stream is relayed event by event, as it came. Only whole events are passed on, so
that a stream that is cut in the middle of one can still end with a clean error. How
the events of a dialect are read is in its own package: `modelplex.wire.openai.tap`
and so on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import msgspec
from attrs import define, field, frozen

from modelplex.errors import GatewayError, UpstreamCut, UpstreamError, UpstreamMalformed
from modelplex.events import Usage
from modelplex.wire import sse
from modelplex.wire.reading import Reader

_ENDED = re.compile(rb"(?>\r\n|\n|\r){2,}")  # an event, and the empty line after it
_ID = re.compile(rb"^id:[^\r\n]*(?:\r\n|\n|\r)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ERROR = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[Any])

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises for whatever a provider may send."""

DecodeError: TypeAlias = Callable[[int, bytes], GatewayError]
"""What a dialect, or a server with errors of its own, makes of (HTTP status, body)."""

Noted: TypeAlias = Callable[[str], None]
"""Is told of opaque proofs that pass, as the dialect writes them; some come twice."""

Take: TypeAlias = Callable[[bytes | None, bytes], bytes]
"""Given an event's payload, if it has one, and the event: what of it passes."""


class Tap(Reader, Protocol):
    """A reader that passes bytes of the guest's own dialect."""

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that `chunk` completes."""

    def eof(self) -> bytes:
        """Call once when the upstream has ended."""

    def fail(self, error: GatewayError) -> bytes:
        """
        The dialect's own in-band error; ends what has passed, wherever it stands.

        Nothing more may be fed. Empty for a reply that passes only when it is whole.
        """


# --- streams of server-sent events ------------------------------------------


@define(eq=False)
class Framing:
    """
    Cuts a stream into events, and joins what of them passes.

    :ivar frames: what is cut and not complete.
    """

    frames: sse.Frames = field(factory=sse.Frames)
    _begun: bool = False

    def feed(self, chunk: bytes, take: Take) -> bytes:
        """
        Give every event that `chunk` completes to `take`.

        :raises UpstreamMalformed: an event is larger than the limit.
        """
        block = self.frames.feed(chunk)
        if not block:
            return b""
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BOM)
        if b"\r" in block:
            return b"".join(
                [take(p, f) if f.strip(b"\r\n") else f for p, f in _framed(block)]
            )
        cut = block.find(b"\n\n")
        if cut and cut == len(block) - 2:  # one event, as in nearly all chunks
            return take(payload_of(block[:cut]), block)
        passed = [
            take(payload_of(event), event + b"\n\n") if event else b"\n\n"
            for event in block.split(b"\n\n")[:-1]
        ]
        return b"".join(passed)

    def eof(self, take: Take) -> bytes:
        """Give the last event to `take`, if only its empty line is missing."""
        rest = self.frames.rest
        payload = sse.data(rest)
        if not rest.strip():
            return b""
        if payload and is_broken(payload) and not payload.startswith(b"[DONE]"):
            return b""
        # SDKs drop or misread an event without its empty line.
        return self.feed(b"\n" if rest.endswith(b"\n") else b"\n\n", take)


def payload_of(event: bytes) -> bytes | None:
    """The same as `sse.data`, at once for an event of two lines as many write it."""
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


def is_broken(text: bytes) -> bool:
    """Whether `text` is no JSON, or not all of it, or too deep for anybody."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return True
    return False


def wrong_with(
    payload: bytes, decode_error: DecodeError, status: int = 200
) -> GatewayError | None:
    """
    What is wrong with JSON of a shape we do not know.

    That is not ours to judge, unless it is an error, or no JSON at all.
    """
    if is_error(payload):
        return meant(decode_error, payload, status)
    return no_json() if is_broken(payload) else None


def comment_only(payload: bytes | None, frame: bytes) -> bytes:
    """
    What passes of an event that has no payload.

    A comment is a provider's keep-alive. An event without data, or with an empty one,
    says nothing and kills OpenAI's SDKs.
    """
    told = payload is None and frame.startswith(b":")
    return frame if told and sse.is_comment(frame) else b""


def without_id(frame: bytes) -> bytes:
    """
    The event `frame` without its ``id``.

    It sticks in a reader: the next comment, ours or the provider's, would be an event
    without data to OpenAI's Python SDK.
    """
    return _ID.sub(b"", frame) if b"id:" in frame else frame


def is_error(text: bytes) -> bool:
    """Whether `text` is an object with an ``error``, or an array of one."""
    if text.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        found = _ERROR.decode(text)
    except UNREADABLE:
        return False
    if isinstance(found, dict):
        return bytes(found.get("error", b"null")) != b"null"
    first = found[0] if found else None
    return isinstance(first, dict) and first.get("error") is not None


def meant(decode_error: DecodeError, body: bytes, status: int = 200) -> GatewayError:
    """What an error in a stream means, however little of it can be read."""
    try:
        return decode_error(status, body)
    except UNREADABLE:  # deep, and read with less of the stack in use, or no text
        return UpstreamError("the provider broke off with an error")


def no_json() -> UpstreamMalformed:
    """What is wrong with a stream one of whose events cannot be read."""
    return UpstreamMalformed("the provider's stream holds invalid JSON")


def cut_short() -> UpstreamCut:
    """What is wrong with a stream that has no end of its own."""
    return UpstreamCut("the provider's stream ended before the answer")


# --- replies in one piece ---------------------------------------------------


@frozen
class Seen:
    """
    What a whole reply says about itself.

    :ivar finish: why the model stopped, in the dialect's word.
    :ivar proofs: the opaque proofs in it, as the dialect writes them.
    """

    usage: Usage | None = None
    finish: str | None = None
    proofs: tuple[str, ...] = ()


@define(eq=False)
class WholeTap:
    """
    Passes one JSON reply, whole, and reads it.

    :ivar limit: bytes the reply may have.
    :param read: what a reply says, the one thing in which dialects differ. Raises the
        error that it is, and ``msgspec.ValidationError`` if it is of a shape we do not
        know, which is not ours to judge.
    :param rewrite: makes the reply one of the guest's dialect, if it comes in another.
    :ivar body: what has passed, for whoever remembers it.
    """

    _decode_error: DecodeError
    limit: int
    _read: Callable[[bytes, DecodeError], Seen]
    _rewrite: Callable[[bytes], bytes] | None = None
    _noted: Noted | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None
    body: bytes = b""
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
            self._pass(body)
        except msgspec.ValidationError:
            self.error = UpstreamMalformed("the provider's reply is no JSON object")
        except UNREADABLE:
            self.error = UpstreamMalformed("the provider's reply is not JSON")
        except GatewayError as e:
            self.error = e
        return self.body

    def fail(self, error: GatewayError) -> bytes:
        return b""

    def _pass(self, body: bytes) -> None:
        seen = self._seen(body)
        if self._rewrite is not None:
            body = self._rewrite(body)
            seen = self._seen(body)
        self.usage, self.finish, self.body = seen.usage, seen.finish, body
        self.meaningful = self.done = True
        if self._noted is not None:
            for proof in seen.proofs:
                self._noted(proof)

    def _seen(self, body: bytes) -> Seen:
        try:
            return self._read(body, self._decode_error)
        except msgspec.ValidationError:
            _OBJECT.decode(body)  # all of it must be there
            error = wrong_with(body, self._decode_error)
            if error is not None:
                raise error from None
            return Seen()
