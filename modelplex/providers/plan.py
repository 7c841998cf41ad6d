"""What to send an upstream for one request, and how to read what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from attrs import frozen
from twisted.web.iweb import IBodyProducer

from modelplex.errors import GatewayError
from modelplex.wire.asked import Asked
from modelplex.wire.dialect import Dialect, Encoded
from modelplex.wire.reading import EventReader, Reader


@frozen
class Plan:
    """
    One request to an upstream, ready to be sent.

    :ivar path: below the API's version segment.
    :ivar streamed: the upstream is asked for a stream.
    :ivar passed: the reader gives bytes of the guest's own dialect.
    :ivar form: instead of `body`, what is still arriving.
    :ivar relayed: the answer goes to the guest with its own status and type.
    :ivar any_type: a page in HTML is an answer, too.
    :ivar dropped: fields of the guest's request that this one does not carry.
    """

    path: str
    body: bytes
    reader: Reader
    streamed: bool
    passed: bool
    decode_error: Callable[[int, bytes], GatewayError]
    dropped: tuple[str, ...] = ()
    method: bytes = b"POST"
    media_type: bytes = b"application/json"
    form: IBodyProducer | None = None
    relayed: bool = False
    any_type: bool = False


Planner: TypeAlias = Callable[[Asked, str], Awaitable[Plan]]
"""Makes the plan for a request and the upstream's name of the model."""


def translated(asked: Asked, dialect: Dialect, path: str, encoded: Encoded) -> Plan:
    """
    The plan for a request that was encoded into the upstream's own dialect.

    The upstream is always asked for a stream: it shows early that it lives, and
    providers cut long answers that do not stream.
    """
    return Plan(
        path=path,
        body=encoded.body,
        reader=EventReader(dialect.decoder(), asked.recorder()),
        streamed=True,
        passed=False,
        decode_error=dialect.decode_error,
        dropped=encoded.dropped,
    )
