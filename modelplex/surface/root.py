"""The tree of routes on one guest's socket. Nothing else is served there."""

from __future__ import annotations

import msgspec
from attrs import define
from klein import Klein
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from modelplex import __version__
from modelplex.errors import GatewayError, UnknownRoute
from modelplex.guests.policy import Policy
from modelplex.routing.catalogue import Catalogue
from modelplex.surface.answer import error_body, retry_headers
from modelplex.surface.openai import OpenAISurface
from modelplex.surface.refusal import RenderedError
from modelplex.surface.request import GuestRequest
from modelplex.wire.asked import Operation
from modelplex.wire.openai.dialect import OPENAI_CHAT


class UpgradeRefused(UnknownRoute):
    """A protocol that is not served here; a client falls back to HTTP at once."""

    status = 426
    code = "upgrade_refused"


@define(eq=False)
class GuestRoot:
    """Routes of one guest."""

    _policy: Policy
    _catalogue: Catalogue
    _openai: OpenAISurface
    app = Klein()

    def resource(self) -> IResource:
        """The tree, to be served."""
        return self.app.resource()

    @app.route("/v1/chat/completions", methods=["POST"])
    async def chat(self, request: GuestRequest) -> None:
        """OpenAI chat, streamed or not."""
        await self._openai.answer(request, Operation.CHAT)

    @app.route("/v1/completions", methods=["POST"])
    async def completions(self, request: GuestRequest) -> None:
        """OpenAI's legacy completions, streamed or not."""
        await self._openai.answer(request, Operation.COMPLETIONS)

    @app.route("/v1/embeddings", methods=["POST"])
    async def embeddings(self, request: GuestRequest) -> None:
        """OpenAI embeddings."""
        await self._openai.answer(request, Operation.EMBEDDINGS)

    @app.route("/v1/models", methods=["GET"])
    async def models(self, request: GuestRequest) -> bytes:
        """The models this guest may use, as the OpenAI and Anthropic SDKs read it."""
        names = await self._catalogue.names(self._policy)
        entries = [_entry(name) for name in names]
        return send_json(
            request,
            {
                "object": "list",
                "data": entries,
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            },
        )

    @app.route("/v1/models/<path:model>", methods=["GET"])
    async def model(self, request: GuestRequest, model: str) -> bytes:
        """One model; its id may hold slashes and colons."""
        self._catalogue.candidates(model, None, self._policy)
        return send_json(request, _entry(model))

    @app.route("/health", methods=["GET"])
    def health(self, request: GuestRequest) -> bytes:
        """That this is Modelplex and that it answers; nothing about keys or hosts."""
        return send_json(
            request,
            {"status": "ok", "service": "modelplex", "version": __version__},
        )

    @app.route("/", methods=["GET", "HEAD"])
    def root(self, request: GuestRequest) -> bytes:
        """What clients probe before anything else."""
        return send_json(request, {"service": "modelplex"})

    @app.handle_errors(GatewayError)
    def expected(self, request: IRequest, failure: Failure) -> bytes:
        """An expected failure."""
        error = failure.value
        assert isinstance(error, GatewayError) and isinstance(request, GuestRequest)
        return error_body(request, OPENAI_CHAT, error)

    @app.handle_errors(HTTPException)
    def unrouted(self, request: IRequest, failure: Failure) -> bytes:
        """No such path, or not with this method."""
        assert isinstance(request, GuestRequest)
        path = request.path.decode("latin-1")[:200]
        method = request.method.decode("latin-1")
        error: GatewayError
        if request.requestHeaders.hasHeader(b"upgrade"):
            error = UpgradeRefused(f"{path}: no upgrade is served here; use HTTP")
        elif isinstance(failure.value, MethodNotAllowed):
            allowed = sorted(failure.value.valid_methods or ())
            request.responseHeaders.setRawHeaders(
                b"allow", [", ".join(allowed).encode()]
            )
            error = UnknownRoute(f"{method} {path}: not with this method", status=405)
        else:
            error = UnknownRoute(f"{method} {path}: no such route")
        return error_body(request, OPENAI_CHAT, error)


def _entry(name: str) -> dict[str, object]:
    """One model in a shape that both SDKs read; upstreams' dates are not known."""
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": "modelplex",
        "display_name": name,
    }


def send_json(request: GuestRequest, value: object) -> bytes:
    """`value` as the body of a JSON answer, its headers set."""
    body = msgspec.json.encode(value)
    request.responseHeaders.setRawHeaders(b"content-type", [b"application/json"])
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
    return body


def render_error(error: GatewayError) -> RenderedError:
    """How an error looks that happens before a route is known."""
    status, body = OPENAI_CHAT.encode_error(error, "")
    return (
        status,
        [(b"content-type", b"application/json"), *retry_headers(error)],
        body,
    )
