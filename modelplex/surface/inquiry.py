"""What an exchange needs of a request, whether HTTP has brought it or a message."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.web.http_headers import Headers


class Inquiry(Protocol):
    """
    A question of a guest, and the way its answer goes.

    The names are Twisted's, whose `Request` is one.

    :ivar code: HTTP status of the answer.
    """

    body: bytes
    request_id: str

    @property
    def code(self) -> int: ...

    @property
    def producer(self) -> object: ...

    @property
    def requestHeaders(self) -> Headers: ...

    @property
    def responseHeaders(self) -> Headers: ...

    def release_body(self) -> None:
        """Forget the body, so that a long answer does not hold it in memory."""

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Set the status of an answer that has not begun."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Let the guest pace `producer`."""

    def unregisterProducer(self) -> None:
        """The producer has ended."""

    def write(self, data: bytes) -> None:
        """Give the guest a piece of the answer."""

    def finish(self) -> None:
        """The answer is complete."""
