"""An error answered without a request to answer it with, and what that shares."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from twisted.web.http_headers import Headers

#: An error as it goes out: status, headers, body.
RenderedError = tuple[int, list[tuple[bytes, bytes]], bytes]

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def request_id(headers: Headers, new_id: Callable[[], str]) -> str:
    """The guest's own ``x-request-id`` when it is sane, else a new one."""
    given = headers.getRawHeaders(b"x-request-id")
    if given is not None and _SANE_ID.fullmatch(given[-1]):
        return given[-1].decode("ascii")
    return new_id()


def reason_phrase(status: int) -> bytes:
    """What follows `status` in a status line; Twisted's own table lacks some."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b"Unknown"


def refusal(
    error: RenderedError, request_id: str, date: bytes, *, without_body: bool
) -> bytes:
    """The whole response that ends a connection, ready to be written."""
    status, fields, body = error
    head = [b"HTTP/1.1 %d %s" % (status, reason_phrase(status))]
    head += [name + b": " + value for name, value in fields]
    head += [
        b"content-length: %d" % len(body),
        b"x-request-id: " + request_id.encode("ascii"),
        b"date: " + date,
        b"connection: close",
        b"\r\n",
    ]
    return b"\r\n".join(head) + (b"" if without_body else body)
