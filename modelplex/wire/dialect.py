"""
What a dialect is: the shape that every module family in `modelplex.wire` fills.

A dialect is used at both rims. Towards the guest: `decode_request`, then `encode`
events or a whole reply, or an error. Towards a provider: `encode_request`, then a
`StreamDecoder`, or `decode_reply`, or `decode_error`. All of it is sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from attrs import field, frozen

from modelplex.errors import GatewayError
from modelplex.events import Event, Reply, Request
from modelplex.wire.fidelity import Fidelity
from modelplex.wire.jsonobject import JsonObject
from modelplex.wire.reasoning import IsForeign


class StreamDecoder(Protocol):
    """
    A provider's stream to canonical events.

    Never raises: whatever is wrong is one last `Failed` event, and after it, or
    after the stream's own end, every call gives ``[]``.

    :ivar done: the stream's own end, or a `Failed`, was given.
    """

    done: bool

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, however the stream was cut up."""

    def eof(self) -> list[Event]:
        """Call once when the stream has ended: a cut is a `Failed` event."""


@frozen
class Answering:
    """
    What a reply to a guest says about itself.

    :ivar model: the name the guest asked for.
    :ivar created: seconds since 1970.
    :ivar include_usage: the guest asked for usage in a stream.
    :ivar id: replaces the id of the provider when that is empty.
    :ivar echo: members of the request that the reply repeats, where a dialect does.
    """

    model: str
    created: int
    include_usage: bool = False
    id: str = ""
    echo: Mapping[str, msgspec.Raw] = field(factory=dict)


class StreamEncoder(Protocol):
    """Canonical events to the guest's stream."""

    def encode(self, event: Event) -> bytes:
        """The bytes for one event, often none yet. Never called with `Failed`."""

    def end(self) -> bytes:
        """The bytes of a clean end, after the last event."""

    def fail(self, error: GatewayError) -> bytes:
        """The dialect's own in-band error; instead of `end`, at any time."""


@frozen
class Encoded:
    """
    A request in a provider's dialect.

    :ivar dropped: hints that could not be carried, by the guest's names.
    """

    body: bytes
    dropped: tuple[str, ...] = ()


@frozen
class Dialect:
    """
    One HTTP API as functions over bytes and values.

    :ivar media_type: of a streamed answer.
    :ivar keepalive: bytes that a waiting stream may be sent; empty when none may.
    :ivar fidelity: what a request of another dialect loses here.
    :ivar encode_request: `request.model` is already the provider's name for it.
    :ivar decode_error: (HTTP status, body) to the error it means.
    :ivar encode_error: (error, request id) to HTTP status and body.
    :ivar without_foreign: changes that take out of a request which is passed on the
        reasoning that its provider did not write.
    """

    name: str
    media_type: bytes
    keepalive: bytes
    fidelity: Fidelity
    decode_request: Callable[[JsonObject], Request]
    encode_request: Callable[[Request], Encoded]
    decode_reply: Callable[[bytes], Reply]
    encode_reply: Callable[[Reply, Answering], bytes]
    decoder: Callable[[], StreamDecoder]
    encoder: Callable[[Answering], StreamEncoder]
    decode_error: Callable[[int, bytes], GatewayError]
    encode_error: Callable[[GatewayError, str], tuple[int, bytes]]
    without_foreign: Callable[
        [JsonObject, IsForeign | None], Mapping[str, bytes | None]
    ] = lambda body, foreign: {}
