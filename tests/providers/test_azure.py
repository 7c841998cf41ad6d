"""Where Azure is asked, what is sent there, and what its errors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from modelplex.config import Entra, Provider
from modelplex.errors import (
    GatewayError,
    UnknownModel,
    UpstreamDenied,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from modelplex.graph import providers_of
from modelplex.providers.azure import address, decode_error
from modelplex.secret import Secret
from modelplex.testing.contract import Told, ask
from modelplex.testing.memory.upstream import Connection, Received, Upstreams
from modelplex.wire.asked import Operation

KEY = "the-key-of-the-operator"
TOKEN = "the-token-of-the-hour"
ENTRA = Entra(
    tenant_id="t",
    client_id="c",
    client_secret=Secret(KEY),
    authority="http+unix://%2Flogin",
)
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
JUDGED = (
    b'data: {"choices":[],"created":0,"id":"","model":"","object":"",'
    b'"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}\n\n'
)
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
END = b"data: [DONE]\n\n"
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


@define(eq=False)
class Resource:
    """A provider whose upstream is in memory."""

    more: dict[str, Any] = field(factory=dict)
    base_url: str = "http+unix://%2Fup"
    reactor: Any = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    provider: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        more = self.more or {"api_keys": (Secret(KEY),)}
        config = Provider(name="az", type="azure", base_url=self.base_url, **more)
        [self.provider] = providers_of(config, self.reactor, 10_000)

    def open(self, asked: Any = None, model: str = "my model") -> list[Any]:
        opened: list[Any] = []
        opening = self.provider.open(asked or ask(), model, 900.0)
        Deferred.fromCoroutine(opening).addBoth(opened.append)
        return opened

    def grant(self, token: str = TOKEN) -> Received:
        """Let the authority give a token."""
        authority = self.upstreams.accept("/login")
        request = authority.request()
        granted = {"access_token": token, "expires_in": 3600}
        authority.answer(json.dumps(granted).encode(), connection="close")
        self.reactor.advance(0)
        return request

    def connection(self) -> Connection:
        return self.upstreams.accept("/up")


# Where


@pytest.mark.parametrize(
    ("path", "v1", "deployments"),
    [
        ("", "/openai/v1", "/openai"),
        ("/", "/openai/v1", "/openai"),
        ("/openai", "/openai/v1", "/openai"),
        ("/openai/v1/", "/openai/v1", "/openai"),
        ("/gateway", "/gateway/openai/v1", "/gateway/openai"),
        ("/v1/openai", "/v1/openai/v1", "/v1/openai"),
    ],
)
def test_the_address_of_either_api(path: str, v1: str, deployments: str) -> None:
    base = f"https://r.openai.azure.com{path}"
    root = "https://r.openai.azure.com"
    assert address(base, None).url("/models") == f"{root}{v1}/models"
    assert address(base, "2024-10-21").url("/models") == (
        f"{root}{deployments}/models?api-version=2024-10-21"
    )
    assert address(f"{base}?api-version=preview", None).url("/x") == (
        f"{root}{v1}/x?api-version=preview"
    )
    assert address(f"{base}?a=b", "v").url("/x") == (
        f"{root}{deployments}/x?a=b&api-version=v"
    )


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (ask(), "/chat/completions"),
        (ask(operation=Operation.EMBEDDINGS, stream=False, input="a"), "/embeddings"),
    ],
)
@pytest.mark.parametrize("version", [None, "2024-10-21"])
def test_the_path_of_a_request(asked: Any, path: str, version: str | None) -> None:
    resource = Resource({"api_keys": (Secret(KEY),), "api_version": version})
    resource.open(asked)
    request = resource.connection().request()
    expected = f"/openai/v1{path}"
    if version:
        expected = f"/openai/deployments/my%20model{path}?api-version={version}"
    assert request.path == expected
    assert json.loads(request.body)["model"] == "my model"
    assert request.header("api-key") == [KEY]
    assert request.header("authorization") == []


@pytest.mark.parametrize("version", [None, "2025-04-01-preview"])
def test_a_response_has_no_deployment_in_its_path(version: str | None) -> None:
    resource = Resource(
        {"api_keys": (Secret(KEY),), "api_version": version, "api": "responses"}
    )
    resource.open()
    request = resource.connection().request()
    query = f"?api-version={version}" if version else ""
    prefix = "/openai" if version else "/openai/v1"
    assert request.path == f"{prefix}/responses{query}"
    assert json.loads(request.body)["store"] is False


@pytest.mark.parametrize("model", ["..", ".", "", "a/../b"])
def test_a_deployment_leads_nowhere_else(model: str) -> None:
    resource = Resource({"api_keys": (Secret(KEY),), "api_version": "v"})
    [failure] = resource.open(model=model)
    assert failure.check(UnknownModel)


# Streams


def test_the_chunk_about_the_prompt_is_passed_and_is_no_answer_yet() -> None:
    resource = Resource()
    opened = resource.open()
    connection = resource.connection()
    connection.begin()
    connection.chunk(JUDGED)
    assert opened == []  # another candidate may still be asked
    connection.chunk(HELLO + DONE + END)
    connection.finish()
    [reply] = opened
    told = Told()
    reply.deliver(told)
    assert b"".join(told.batches) == JUDGED + HELLO + DONE + END  # type: ignore[arg-type]
    assert told.ends == [None]


def test_a_chunk_without_a_delta_breaks_nothing() -> None:
    late = (
        b'data: {"choices":[{"index":0,"finish_reason":null,'
        b'"content_filter_results":{},"content_filter_offsets":{}}]}\n\n'
    )
    resource = Resource()
    opened = resource.open()
    connection = resource.connection()
    connection.begin()
    connection.chunk(HELLO + late + DONE + END)
    connection.finish()
    told = Told()
    opened[0].deliver(told)
    assert told.ends == [None]
    assert opened[0].reader.finish == "stop"


# Errors


def said(code: str | None = None, message: str = "no", **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, said("content_filter", type=None), UpstreamRejected, "content_filter"),
        (400, said("OperationNotSupported"), UpstreamRejected, "OperationNotSupported"),
        (400, said("400"), UpstreamRejected, None),
        (401, said("401", "Access denied"), UpstreamDenied, "provider_misconfigured"),
        (401, said("PermissionDenied"), UpstreamDenied, "provider_misconfigured"),
        (404, said("DeploymentNotFound"), UpstreamModelMissing, "model_not_found"),
        (404, said("404", "Resource not found"), UpstreamModelMissing, None),
        (
            *(404, b'{"statusCode":404,"message":"Resource not found"}'),
            *(UpstreamModelMissing, "model_not_found"),
        ),
        (404, said("item_not_found"), UpstreamRejected, "item_not_found"),
        (408, said("Timeout"), UpstreamTimeout, "upstream_timeout"),
        (424, said("424"), UpstreamTimeout, "upstream_timeout"),
        (499, b"", UpstreamTimeout, "upstream_timeout"),
        (504, b"<html>", UpstreamTimeout, "upstream_timeout"),
        (429, said("429"), UpstreamRateLimited, "rate_limit_exceeded"),
        (429, said("NoCapacity"), UpstreamRateLimited, "rate_limit_exceeded"),
        (429, said("insufficient_quota"), UpstreamQuota, "insufficient_quota"),
        (
            *(429, b'{"statusCode":429,"message":"Rate limit is exceeded."}'),
            *(UpstreamRateLimited, "rate_limit_exceeded"),
        ),
        (503, said("ServiceUnavailable"), UpstreamOverloaded, "upstream_overloaded"),
        (200, said("429"), UpstreamRateLimited, "rate_limit_exceeded"),
        (200, said("content_filter"), UpstreamRejected, "content_filter"),
    ],
)
def test_an_error_means(
    status: int, body: bytes, kind: type[GatewayError], code: str | None
) -> None:
    error = decode_error(status, body)
    assert type(error) is kind
    expected = "model_not_found" if kind is UpstreamModelMissing else code
    assert error.code == expected


def test_a_refusal_by_the_content_filter_keeps_what_it_found() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    body = said("content_filter", "filtered", param="prompt", innererror=inner)
    error = decode_error(400, body)
    assert isinstance(error, UpstreamRejected)
    assert (error.message, error.param) == ("filtered", "prompt")
    assert error.body == body


def test_a_status_as_text_is_no_code_for_the_guest_either() -> None:
    error = decode_error(400, said("400", "bad", innererror={"a": 1}))
    assert isinstance(error, UpstreamRejected)
    kept = json.loads(error.body)["error"]
    assert kept == {"code": None, "message": "bad", "innererror": {"a": 1}}


# Tokens


def test_a_token_is_fetched_once_and_sent_instead_of_a_key() -> None:
    resource = Resource({"entra": ENTRA})
    first, second = resource.open(), resource.open()
    assert resource.upstreams.waiting("/up") == []
    resource.grant()
    attempts = resource.upstreams.waiting("/up")
    assert len(attempts) == 2
    for attempt in attempts:
        connection = attempt.accept()
        request = connection.request()
        assert request.header("authorization") == [f"Bearer {TOKEN}"]
        assert request.header("api-key") == []
        connection.begin()
        connection.chunk(HELLO + DONE + END)
    for [reply] in (first, second):
        assert reply.passed
        reply.stopProducing()
    assert resource.upstreams.waiting("/login") == []


def test_models_are_listed_with_a_token_too() -> None:
    resource = Resource({"entra": ENTRA})
    listed: list[Any] = []
    listing = Deferred.fromCoroutine(resource.provider.list_models())
    listing.addBoth(listed.append)
    resource.grant()
    connection = resource.connection()
    request = connection.request()
    assert request.path == "/openai/v1/models"
    assert request.header("authorization") == [f"Bearer {TOKEN}"]
    connection.answer(b'{"data":[{"id":"gpt-x"}]}')
    assert listed == [["gpt-x"]]


def test_no_error_holds_the_token_or_the_secret() -> None:
    resource = Resource({"entra": ENTRA})
    for status in (400, 401, 404, 429, 500):
        opened = resource.open(ask(False))
        if resource.upstreams.waiting("/login"):
            resource.grant()
        body = said("x", f"got {TOKEN} and {KEY}", param=TOKEN)
        resource.connection().answer(body, status, connection="close")
        resource.reactor.advance(0)
        [failure] = opened
        assert isinstance(failure, Failure)
        kept = repr(vars(failure.value)) + str(failure.value)
        assert TOKEN not in kept and KEY not in kept
    assert TOKEN not in repr(resource.provider)
    assert KEY not in repr(resource.provider)


def test_a_token_that_is_refused_is_replaced() -> None:
    resource = Resource({"entra": ENTRA})
    opened = resource.open(ask(False))
    resource.grant()
    resource.connection().answer(said("401"), 401, connection="close")
    resource.reactor.advance(0)
    assert opened[0].check(UpstreamDenied)
    resource.open(ask(False))
    resource.grant("another")
    request = resource.connection().request()
    assert request.header("authorization") == ["Bearer another"]


def test_without_a_token_nothing_is_asked() -> None:
    resource = Resource({"entra": ENTRA})
    opened = resource.open()
    resource.upstreams.refuse("/login")
    [failure] = opened
    assert failure.check(UpstreamUnreachable)
    assert failure.value.failover
    assert "/login" not in failure.value.message
    assert resource.upstreams.waiting() == []
