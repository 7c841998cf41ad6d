"""Plans for counting tokens: passed through in the guest's dialect, or translated."""

from __future__ import annotations

from collections.abc import Callable

from modelplex.errors import GatewayError
from modelplex.providers.plan import Plan
from modelplex.wire.asked import Asked
from modelplex.wire.counting import CountDialect
from modelplex.wire.reading import Reader
from modelplex.wire.tap import Seen, WholeTap


def passed(
    path: str,
    body: bytes,
    decode_error: Callable[[int, bytes], GatewayError],
    reader: Reader,
) -> Plan:
    """The plan for a guest of the upstream's own dialect."""
    return Plan(
        path=path,
        body=body,
        reader=reader,
        streamed=False,
        passed=True,
        decode_error=decode_error,
    )


def translated(
    asked: Asked,
    model: str,
    upstream: CountDialect,
    path: str,
    decode_error: Callable[[int, bytes], GatewayError],
    limit: int,
) -> Plan:
    """
    The plan for a guest of another dialect, who is answered in its own.

    :raises GatewayError: the request cannot be said to the upstream.
    """
    guest = asked.counting or upstream
    encoded = upstream.encode_request(asked.canonical_for(model, stream=False))

    def rewrite(body: bytes) -> bytes:
        return guest.encode_reply(upstream.decode_reply(body))

    return Plan(
        path=path,
        body=encoded.body,
        reader=WholeTap(decode_error, limit, _unread, rewrite),
        streamed=False,
        passed=True,
        decode_error=decode_error,
        dropped=encoded.dropped,
    )


def is_own(asked: Asked, upstream: CountDialect) -> bool:
    """Whether the guest counts in the upstream's dialect."""
    return asked.counting is None or asked.counting.name == upstream.name


def _unread(body: bytes, decode_error: Callable[[int, bytes], GatewayError]) -> Seen:
    """A count says nothing about itself; what is none is found when it is decoded."""
    return Seen()
