"""One request of a guest, as Twisted calls it back."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import unquote

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from modelplex.errors import BadRequest, GatewayError, TooLarge
from modelplex.surface.body import ACCEPTED, decoded
from modelplex.surface.paths import FORMS
from modelplex.surface.refusal import reason_phrase, request_id
from modelplex.surface.upload import Upload
from modelplex.wire.multipart import boundary_of

if TYPE_CHECKING:
    from modelplex.surface.channel import GuestChannel
    from modelplex.surface.site import GuestSite


class GuestRequest(Request):
    """
    A guest's request, whose body is in memory and whose Host means nothing.

    :ivar body: the whole body, content codings undone.
    :ivar request_id: goes out as ``x-request-id`` and into every log line.
    :ivar deployment: the model that the path names, as Azure's clients do.
    :ivar upload: the body, of a request that is answered while that arrives.
    :ivar drained: called when the service begins to stop, by an answer that would
        have no end.
    """

    log = Logger()
    defaultContentType = b"application/json"
    channel: GuestChannel
    site: GuestSite
    content: BytesIO
    body = b""
    request_id = ""
    deployment = ""
    upload: Upload | None = None
    drained: Callable[[], None] | None = None
    _received = 0  # bytes of the upload

    def getRequestHostname(self) -> bytes:
        """
        Always the same name.

        A UNIX socket has no host to fall back on (twisted#9400), and some clients
        send the socket's escaped path, which Werkzeug refuses with an HTML page.
        """
        return b"modelplex"

    def begin(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        All headers are there: answer already, if the body is a form to be passed on.

        :raises GatewayError: it cannot be passed on.
        """
        if command != b"POST":
            return
        kinds = self.requestHeaders.getRawHeaders(b"content-type", [b""])
        if not kinds[0].lower().startswith(b"multipart/form-data"):
            return
        plain = unquote(path.partition(b"?")[0].decode("latin-1"))
        if self.channel.site.route(plain).path not in FORMS:
            return
        if self.requestHeaders.hasHeader(b"content-encoding"):
            raise BadRequest("a form must not have a content-encoding", status=415)
        boundary = boundary_of(b",".join(kinds))
        self.upload = Upload(boundary, self.channel.length, self.channel)
        super().requestReceived(command, path, version)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is complete."""
        if self.upload is None:
            super().requestReceived(command, path, version)
            return
        try:
            self.upload.ended()
        except GatewayError as error:
            self.upload.fail(error)

    def interrupt(self, error: GatewayError) -> bool:
        """
        Let the answer that has begun before the body was there be `error`.

        :returns: whether there is such an answer; else nobody is told.
        """
        channel, upload = self.channel, self.upload
        if upload is None:
            return False
        if not self.startedWriting:
            upload.fail(error)
        if not self.finished:
            channel.abort()
        return True

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory; Twisted would spill it to a temporary file."""
        # A BytesIO and not a list of chunks: a body sent a byte at a time must not
        # cost forty times its size.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, unless that makes it too large."""
        if self.finished:  # before all of it was here
            return
        channel = self.channel
        if channel.refused:
            return
        limit = channel.site.limits.max_request_size
        if self.upload is not None:
            self._received += len(data)
            try:
                if self._received > limit:
                    raise TooLarge(f"the request is larger than {limit} bytes")
                self.upload.received(data)
            except GatewayError as error:
                channel.refuse(error)
        elif self.content.tell() + len(data) > limit:
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
        meant = site.route(unquote(self.path.decode("ascii")))
        self.deployment = meant.deployment
        self.prepath = []
        self.postpath = meant.path[1:].encode().split(b"/")
        try:
            if self.upload is None:
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
        status, headers, body = self.site.rendered(error, self.path)
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
