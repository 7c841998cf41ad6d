"""What the headers of an upstream's answer say."""

from __future__ import annotations

from twisted.web.iweb import IResponse

from modelplex.outbound.retry_after import retry_after
from modelplex.wire.relay import Head


def header(response: IResponse, name: bytes) -> str | None:
    """The first value of the header `name`."""
    values = response.headers.getRawHeaders(name)
    return values[0].decode("latin-1") if values else None


def head_of(response: IResponse) -> Head:
    """How the answer begins, for a guest who gets it as it is."""
    kind = response.headers.getRawHeaders(b"content-type")
    length = response.length
    return Head(
        response.code,
        kind[0] if kind else b"application/octet-stream",
        length if isinstance(length, int) else None,
    )


def wait_of(response: IResponse, now: float) -> float | None:
    """
    Seconds after which to ask again, if it says.

    :param now: seconds since 1970.
    """
    return retry_after(
        header(response, b"retry-after"), header(response, b"retry-after-ms"), now
    )
