"""The tree of routes on one guest's socket. Nothing else is served there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from attrs import define, field
from klein import Klein
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from modelplex import __version__
from modelplex.errors import GatewayError, UnknownRoute
from modelplex.surface import anthropic, gemini, models, ollama, openai, websocket
from modelplex.surface.answer import error_body, retry_headers
from modelplex.surface.dialects import dialect_of
from modelplex.surface.exchanges import Exchanges
from modelplex.surface.mcp_http import check_near
from modelplex.surface.models import Shown
from modelplex.surface.refusal import RenderedError
from modelplex.surface.relays import Relays
from modelplex.surface.request import GuestRequest
from modelplex.surface.response_memory import ResponseMemory
from modelplex.surface.responses import Responses
from modelplex.surface.tools import GuestTools
from modelplex.surface.websocket import UpgradeRefused
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.jsonrpc import to_json
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT


@define(eq=False)
class GuestRoot:
    """
    Routes of one guest.

    Each has one path; `modelplex.surface.paths` has made it of those people send.

    :param tools: of this guest; ``None`` when it may use none.
    """

    _exchanges: Exchanges
    _relays: Relays
    _tools: GuestTools | None = None
    _responses: Responses = field(init=False)
    app = Klein()

    def __attrs_post_init__(self) -> None:
        memory = ResponseMemory(self._exchanges.seconds)
        self._responses = Responses(self._exchanges, memory)

    def resource(self) -> IResource:
        """The tree, to be served."""
        return self.app.resource()

    # --- OpenAI

    @app.route("/v1/chat/completions", methods=["POST"])
    async def chat(self, request: GuestRequest) -> None:
        """Chat, streamed or not."""
        await self._exchanges.answer(request, OPENAI_CHAT, openai.chat)

    @app.route("/v1/completions", methods=["POST"])
    async def completions(self, request: GuestRequest) -> None:
        """Legacy completions, streamed or not."""
        await self._exchanges.answer(request, OPENAI_CHAT, openai.completions)

    @app.route("/v1/embeddings", methods=["POST"])
    async def embeddings(self, request: GuestRequest) -> None:
        """Embeddings."""
        await self._exchanges.answer(request, OPENAI_CHAT, openai.embeddings)

    # --- OpenAI beside text

    @app.route(
        "/v1/images/<any(generations, edits, variations):call>", methods=["POST"]
    )
    async def images(self, request: GuestRequest, call: str) -> None:
        """Pictures from words, and from other pictures."""
        await self._relays.media(request, Operation.IMAGES, f"/images/{call}")

    @app.route(
        "/v1/audio/<any(speech, transcriptions, translations):call>", methods=["POST"]
    )
    async def audio(self, request: GuestRequest, call: str) -> None:
        """Speech from words, and words from speech."""
        await self._relays.media(request, Operation.AUDIO, f"/audio/{call}")

    @app.route("/v1/moderations", methods=["POST"])
    async def moderations(self, request: GuestRequest) -> None:
        """Whether something is fit to be said."""
        await self._relays.media(request, Operation.MODERATIONS, "/moderations")

    @app.route("/v1/files", methods=["GET", "POST"])
    async def files(self, request: GuestRequest) -> None:
        """The files that a provider keeps, or one more."""
        await self._relays.files(request, "/files")

    @app.route("/v1/files/<file>", methods=["GET", "DELETE"])
    async def file(self, request: GuestRequest, file: str) -> None:
        """What is known of a file, or that it is gone."""
        await self._relays.files(request, f"/files/{file}", file)

    @app.route("/v1/files/<file>/content", methods=["GET"])
    async def content(self, request: GuestRequest, file: str) -> None:
        """What is in a file."""
        await self._relays.files(request, f"/files/{file}/content", file)

    # --- OpenAI Responses

    @app.route("/v1/responses", methods=["POST"])
    async def create_response(self, request: GuestRequest) -> None:
        """A response, streamed or not."""
        await self._responses.create(request)

    @app.route("/v1/responses", methods=["GET"])
    async def converse(self, request: GuestRequest) -> None:
        """Responses over a WebSocket."""
        if not request.requestHeaders.hasHeader(b"upgrade"):
            request.responseHeaders.setRawHeaders(b"allow", [b"POST"])
            raise UnknownRoute("GET /v1/responses: not with this method", status=405)
        await websocket.upgrade(request, self._responses)

    @app.route("/v1/responses/compact", methods=["POST"])
    async def compact_response(self, request: GuestRequest) -> None:
        """A shorter history, from a provider that can make one."""
        await self._responses.compact(request)

    @app.route("/v1/responses/input_tokens", methods=["POST"])
    async def count_response(self, request: GuestRequest) -> None:
        """How many tokens a request would be."""
        await self._responses.count(request)

    @app.route("/v1/responses/<response>", methods=["GET"])
    def retrieve_response(self, request: GuestRequest, response: str) -> bytes:
        """A response that is remembered."""
        stream = _argument(request, b"stream") == "true"
        found = self._responses.retrieve(response, stream=stream)
        return send_json(request, msgspec.Raw(found))

    @app.route("/v1/responses/<response>", methods=["DELETE"])
    def delete_response(self, request: GuestRequest, response: str) -> bytes:
        """Forget a response."""
        return send_json(request, self._responses.delete(response))

    @app.route("/v1/responses/<response>/cancel", methods=["POST"])
    def cancel_response(self, request: GuestRequest, response: str) -> bytes:
        """Stop what runs in the background, which nothing does here."""
        self._responses.cancel(response)

    @app.route("/v1/responses/<response>/input_items", methods=["GET"])
    def response_input(self, request: GuestRequest, response: str) -> bytes:
        """What a response was asked with, a page at a time."""
        after, limit, order = (
            _argument(request, key) for key in (b"after", b"limit", b"order")
        )
        found = self._responses.input_items(response, after, limit, order)
        return send_json(request, msgspec.Raw(found))

    # --- Anthropic

    @app.route("/v1/messages", methods=["POST"])
    async def messages(self, request: GuestRequest) -> None:
        """Messages, streamed or not."""
        await self._exchanges.answer(request, ANTHROPIC, anthropic.messages)

    @app.route("/v1/messages/count_tokens", methods=["POST"])
    async def count_tokens(self, request: GuestRequest) -> None:
        """How many tokens a request would be."""
        await self._exchanges.answer(request, ANTHROPIC, anthropic.count_tokens)

    # --- Gemini

    @app.route("/v1beta/<path:call>", methods=["POST"])
    async def generate_content(self, request: GuestRequest, call: str) -> None:
        """Every method of a model."""
        opener = gemini.opener(request, call)
        await self._exchanges.answer(request, GEMINI, opener)

    @app.route("/v1beta/models", methods=["GET"])
    async def gemini_models(self, request: GuestRequest) -> bytes:
        """The models this guest may use, a page at a time."""
        size, token = (_argument(request, key) for key in (b"pageSize", b"pageToken"))
        names = await self._names()
        return send_json(request, models.gemini_listed(names, size, token))

    @app.route("/v1beta/models/<path:model>", methods=["GET"])
    async def gemini_model(self, request: GuestRequest, model: str) -> bytes:
        """One model."""
        self._find(model)
        return send_json(request, models.gemini_entry(model))

    # --- Ollama

    @app.route("/api/chat", methods=["POST"])
    async def ollama_chat(self, request: GuestRequest) -> None:
        """Chat, streamed unless the guest says otherwise."""
        said = {"message": {"role": "assistant", "content": ""}}
        if not self._loaded(request, said):
            await self._exchanges.answer(request, OLLAMA, ollama.chat)

    @app.route("/api/generate", methods=["POST"])
    async def ollama_generate(self, request: GuestRequest) -> None:
        """A prompt's continuation, streamed unless the guest says otherwise."""
        if not self._loaded(request, {"response": ""}):
            await self._exchanges.answer(request, OLLAMA, ollama.generate)

    @app.route("/api/embed", methods=["POST"])
    async def ollama_embed(self, request: GuestRequest) -> None:
        """Embeddings."""
        await self._exchanges.answer(request, OLLAMA, ollama.embed)

    @app.route("/api/tags", methods=["GET"])
    async def ollama_tags(self, request: GuestRequest) -> bytes:
        """The models this guest may use."""
        return send_json(request, models.ollama_listed(await self._names()))

    @app.route("/api/show", methods=["POST"])
    async def ollama_show(self, request: GuestRequest) -> bytes:
        """That a model is there, and no secret of how."""
        self._find(open_object(request.body).get("model", str))
        return send_json(request, models.ollama_shown())

    @app.route("/api/ps", methods=["GET"])
    def ollama_ps(self, request: GuestRequest) -> bytes:
        """No model is in memory here."""
        return send_json(request, {"models": []})

    @app.route("/api/version", methods=["GET"])
    def ollama_version(self, request: GuestRequest) -> bytes:
        """The version of Ollama's API that is spoken."""
        return send_json(request, {"version": ollama.VERSION})

    # --- tools

    @app.route("/mcp")
    @app.route("/mcp/")
    async def mcp(self, request: GuestRequest) -> None:
        """MCP with every server that this guest may use."""
        await self._guest_tools.mcp.answer(request)

    @app.route("/mcp/<server>")
    async def mcp_server(self, request: GuestRequest, server: str) -> None:
        """MCP with one server, under its own names."""
        await self._guest_tools.mcp.answer(request, server)

    @app.route("/v1/tools", methods=["GET"])
    async def list_tools(self, request: GuestRequest) -> bytes:
        """The tools, for programs that speak no MCP."""
        check_near(request)
        listed = await self._guest_tools.listed()
        return send_json(request, msgspec.Raw(to_json(listed)))

    @app.route("/v1/tools/<name>", methods=["POST"])
    async def call_tool(self, request: GuestRequest, name: str) -> bytes:
        """Call a tool with the arguments that the body is."""
        check_near(request)
        id = request.request_id
        result = await self._guest_tools.call(name, request.body, id)
        return send_json(request, msgspec.Raw(to_json(result)))

    # --- for all of them

    @app.route("/v1/models", methods=["GET"])
    async def models(self, request: GuestRequest) -> bytes:
        """The models this guest may use, as every SDK reads it."""
        return send_json(request, models.listed(await self._names()))

    @app.route("/v1/models/<path:model>", methods=["GET"])
    async def model(self, request: GuestRequest, model: str) -> bytes:
        """One model; its id may hold slashes and colons."""
        self._find(model)
        return send_json(request, models.entry(model))

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

    # --- what went wrong before an exchange began

    @app.handle_errors(GatewayError)
    def expected(self, request: IRequest, failure: Failure) -> bytes:
        """An expected failure."""
        error = failure.value
        assert isinstance(error, GatewayError) and isinstance(request, GuestRequest)
        return error_body(request, _spoken(request), error)

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
        return error_body(request, _spoken(request), error)

    def _loaded(self, request: GuestRequest, said: Shown) -> bool:
        """Answer an Ollama client that only wants a model to be in memory."""
        body = ollama.only_loads(request)
        if body is None:
            return False
        self._find(body.get("model", str, ""))
        shown = ollama.loaded(body, said, self._exchanges.now())
        request.write(send_json(request, shown))
        request.finish()
        return True

    @property
    def _guest_tools(self) -> GuestTools:
        """Those of this guest; raises `UnknownRoute` when it has none."""
        if self._tools is None:
            raise UnknownRoute("no tools are served here")
        return self._tools

    async def _names(self) -> list[str]:
        return await self._exchanges.catalogue.names(self._exchanges.policy)

    def _find(self, model: str) -> None:
        """Raise `UnknownModel` unless the guest may use `model`."""
        self._exchanges.catalogue.candidates(model, None, self._exchanges.policy)


def _argument(request: GuestRequest, key: bytes) -> str:
    return str(request.args.get(key, [b""])[-1], "utf-8", "replace")


def _spoken(request: GuestRequest) -> Dialect:
    if request.requestHeaders.hasHeader(b"anthropic-version"):
        return ANTHROPIC
    return dialect_of(request.path)


def send_json(
    request: GuestRequest, value: Mapping[str, object] | msgspec.Raw
) -> bytes:
    """`value` as the body of a JSON answer, its headers set."""
    body = msgspec.json.encode(value)
    request.responseHeaders.setRawHeaders(b"content-type", [b"application/json"])
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
    return body


def render_error(error: GatewayError, path: bytes) -> RenderedError:
    """How an error looks that happens before a route is known."""
    status, body = dialect_of(path).encode_error(error, "")
    return (
        status,
        [(b"content-type", b"application/json"), *retry_headers(error)],
        body,
    )
