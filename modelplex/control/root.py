"""What the operator can ask a running Modelplex: a Klein tree of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from attrs import define, field
from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from modelplex.control.tools import (
    Accepting,
    Deciding,
    NoTools,
    Restarting,
    ToolsControl,
)
from modelplex.errors import StorageError

T = TypeVar("T")


@define(eq=False)
class ControlRoot:
    """
    Answers the operator.

    :ivar status: makes the answer to ``GET /status``.
    :ivar models: makes the answer to ``GET /models``.
    :ivar tools: knows of tools, and acts on them.
    """

    _status: Callable[[], Any]
    _models: Callable[[], Any]
    _tools: ToolsControl = field(factory=NoTools)
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

    @app.route("/tools", methods=["GET"])
    def tools(self, request: IRequest) -> bytes:
        """Every tool server, how it is, and what it offers."""
        return _json(request, self._tools.tools())

    @app.route("/tools/accept", methods=["POST"])
    def accept(self, request: IRequest) -> bytes:
        """Stand behind definitions as they are now."""
        asked = _asked(request, Accepting)
        try:
            accepted = self._tools.accept(asked.server, asked.tool, asked.hash)
        except KeyError:
            raise NotFound from None
        except StorageError as e:
            request.setResponseCode(500)
            return _json(request, {"error": str(e)})
        return _json(request, {"accepted": accepted})

    @app.route("/tools/restart", methods=["POST"])
    def restart(self, request: IRequest) -> bytes:
        """Stop a server, so that it starts anew."""
        try:
            self._tools.restart(_asked(request, Restarting).server)
        except KeyError:
            raise NotFound from None
        return _json(request, {})

    @app.route("/approvals", methods=["GET"])
    def approvals(self, request: IRequest) -> bytes:
        """The calls that wait for the operator."""
        return _json(request, self._tools.approvals())

    @app.route("/approvals/<id>", methods=["POST"])
    def decide(self, request: IRequest, id: str) -> bytes:
        """Approve or deny one of them, once."""
        asked = _asked(request, Deciding)
        tools = self._tools
        if not (tools.approve(id) if asked.approve else tools.deny(id, asked.why)):
            raise NotFound
        return _json(request, {})

    @app.handle_errors(HTTPException)
    def unknown(self, request: IRequest, failure: Any) -> bytes:
        """Anything else."""
        request.setResponseCode(failure.value.code or 500)
        return _json(request, {"error": failure.value.name})


def _asked(request: IRequest, type: type[T]) -> T:
    try:
        return msgspec.json.decode(request.content.read(), type=type)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest from None


def _json(request: IRequest, value: Any) -> bytes:
    body = msgspec.json.encode(value)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
