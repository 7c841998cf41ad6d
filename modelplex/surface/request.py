"""One request of a guest, as Twisted calls it back."""

from __future__ import annotations

from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from modelplex.errors import GatewayError, TooLarge
from modelplex.surface.body import ACCEPTED, decoded
from modelplex.surface.refusal import reason_phrase, request_id

if TYPE_CHECKING:
    from modelplex.surface.channel import GuestChannel
    from modelplex.surface.site import GuestSite


class GuestRequest(Request):
    """
    A guest's request, whose body is in memory and whose Host means nothing.

    :ivar body: the whole body, content codings undone.
    :ivar request_id: goes out as ``x-request-id`` and into every log line.
    """

    log = Logger()
    defaultContentType = b"application/json"
    channel: GuestChannel
    site: GuestSite
    content: BytesIO
    body = b""
    request_id = ""

    def getRequestHostname(self) -> bytes:
        """
        Always the same name.

        A UNIX socket has no host to fall back on (twisted#9400), and some clients
        send the socket's escaped path, which Werkzeug refuses with an HTML page.
        """
        return b"modelplex"

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory; Twisted would spill it to a temporary file."""
        # A BytesIO and not a list of chunks: a body sent a byte at a time must not
        # cost forty times its size.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, unless that makes it too large."""
        channel = self.channel
        if channel.refused:
            return
        limit = channel.site.limits.max_request_size
        if self.content.tell() + len(data) > limit:
            channel.refuse(TooLarge(f"the request is larger than {limit} bytes"))
        else:
            self.content.write(data)

    def process(self) -> None:
        """Look up the resource and let it answer."""
        site = self.site = self.channel.site
        self.request_id = request_id(self.requestHeaders, site.new_id)
        # No Server header: a guest need not know what runs on the host.
        self.responseHeaders.setRawHeaders(
            b"x-request-id", [self.request_id.encode("ascii")]
        )
        self.responseHeaders.setRawHeaders(b"date", [site.date()])
        self.prepath = []
        self.postpath = [
            unquote_to_bytes(segment) for segment in self.path[1:].split(b"/")
        ]
        try:
            self.body = self._decoded()
        except GatewayError as error:
            self.refuse(error)
            return
        try:
            self.render(site.getResourceFor(self))
        except Exception:  # a bug: told to the log, and to the guest as a 500
            self.processingFailed(Failure())

    def _decoded(self) -> bytes:
        body: bytes = self.content.getvalue()  # shares the BytesIO's buffer
        encoding = self.requestHeaders.getRawHeaders(b"content-encoding")
        if encoding is None:
            return body
        limit = self.site.limits.max_request_size
        body = decoded(body, b",".join(encoding), limit)
        self.content = BytesIO(body)
        return body

    def release_body(self) -> None:
        """Forget the body, so that a long answer does not hold it in memory."""
        self.body = b""
        self.content = BytesIO()

    def refuse(self, error: GatewayError) -> None:
        """Answer `error` and finish; nothing may have been written yet."""
        status, headers, body = self.site.rendered(error)
        self.setResponseCode(status, reason_phrase(status))
        for name, value in headers:
            self.responseHeaders.setRawHeaders(name, [value])
        if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            self.responseHeaders.setRawHeaders(b"accept-encoding", [ACCEPTED])
        self.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
        self.write(body)
        self.finish()

    def processingFailed(self, reason: Failure) -> Failure:
        """Tell the log about a bug, and the guest only that there was one."""
        self.log.failure(
            "Request {request_id} failed", failure=reason, request_id=self.request_id
        )
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting:
            # What was sent must not look like a complete answer.
            self.channel.abort()
        else:
            self.refuse(GatewayError("internal error"))
        return reason
