"""What the operator can ask a running Modelplex: a Klein tree of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from attrs import define
from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException


@define(eq=False)
class ControlRoot:
    """
    Answers the operator.

    :ivar status: makes the answer to ``GET /status``.
    :ivar models: makes the answer to ``GET /models``.
    """

    _status: Callable[[], Any]
    _models: Callable[[], Any]
    app = Klein()

    def resource(self) -> IResource:
        """The tree, to be served."""
        return self.app.resource()

    @app.route("/status", methods=["GET"])
    def status(self, request: IRequest) -> bytes:
        """What runs, since when, and for whom."""
        return _json(request, self._status())

    @app.route("/models", methods=["GET"])
    def models(self, request: IRequest) -> bytes:
        """Every target, how it stands and why."""
        return _json(request, self._models())

    @app.handle_errors(HTTPException)
    def unknown(self, request: IRequest, failure: Any) -> bytes:
        """Anything else."""
        request.setResponseCode(failure.value.code or 500)
        return _json(request, {"error": failure.value.name})


def _json(request: IRequest, value: Any) -> bytes:
    body = msgspec.json.encode(value)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
