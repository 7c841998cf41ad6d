"""Errors in OpenAI's shape, both ways, and the other shapes that servers send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex import errors
from modelplex.errors import (
    GatewayError,
    LimitReached,
    UpstreamDenied,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from modelplex.testing.strategies import json_values
from modelplex.wire.openai.dialect import OPENAI_CHAT

CLASSES = [
    c
    for c in vars(errors).values()
    if isinstance(c, type) and issubclass(c, GatewayError)
]
INVALID, SERVER = "invalid_request_error", "server_error"
BUSY = "service_unavailable_error"

SHOWN = {
    "GatewayError": (500, SERVER, None),
    "BadRequest": (400, INVALID, None),
    "UnsupportedField": (400, INVALID, "unsupported_parameter"),
    "UnknownModel": (404, INVALID, "model_not_found"),
    "UnknownRoute": (404, INVALID, "unknown_url"),
    "Forbidden": (403, INVALID, "forbidden_by_policy"),
    "LimitReached": (429, "rate_limit_error", "rate_limit_exceeded"),
    "TooLarge": (413, INVALID, "request_too_large"),
    "RequestTimeout": (408, INVALID, "request_timeout"),
    "ShuttingDown": (503, BUSY, "shutting_down"),
    "UpstreamError": (502, SERVER, "upstream_error"),
    "UpstreamUnreachable": (502, SERVER, "upstream_unreachable"),
    "UpstreamTimeout": (504, SERVER, "upstream_timeout"),
    "UpstreamCut": (502, SERVER, "upstream_cut"),
    "UpstreamMalformed": (502, SERVER, "upstream_malformed"),
    "UpstreamOverloaded": (503, BUSY, "server_is_overloaded"),
    "UpstreamRateLimited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "UpstreamQuota": (429, "insufficient_quota", "insufficient_quota"),
    "UpstreamDenied": (502, SERVER, "provider_misconfigured"),
    "UpstreamRejected": (422, INVALID, None),
    "UpstreamModelMissing": (404, INVALID, "model_not_found"),
}


def made(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, UpstreamRejected):
        return kind("what", status=404 if kind is UpstreamModelMissing else 422)
    return kind("what")


def shown(error: GatewayError) -> tuple[int, dict[str, Any]]:
    status, body = OPENAI_CHAT.encode_error(error, "req_1")
    return status, json.loads(body)["error"]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_every_error_has_its_status_and_all_four_fields(
    kind: type[GatewayError],
) -> None:
    status, error = shown(made(kind))
    assert (status, error["type"], error["code"]) == SHOWN[kind.__name__]
    assert set(error) == {"message", "type", "param", "code"}
    assert "what" in error["message"]


def test_the_field_at_fault_is_named() -> None:
    assert shown(errors.BadRequest("x", param="n"))[1]["param"] == "n"


def test_a_bug_names_the_request_to_ask_the_operator_about() -> None:
    assert "req_1" in shown(GatewayError("internal error"))[1]["message"]


def test_anthropics_529_is_a_503_here() -> None:
    assert shown(UpstreamOverloaded("x", status=529))[0] == 503
    status, error = shown(UpstreamOverloaded("x", status=502))
    assert (status, error["type"]) == (502, SERVER)


def test_a_budget_that_waiting_does_not_refill_is_a_quota() -> None:
    spent = LimitReached("x")
    spent.should_retry = False
    assert shown(spent)[1]["type"] == "insufficient_quota"


def test_a_providers_rejection_keeps_its_own_words() -> None:
    body = {"error": {"message": "own", "type": "t", "param": "p", "code": "c"}}
    rejected = OPENAI_CHAT.decode_error(422, json.dumps(body).encode())
    assert isinstance(rejected, UpstreamRejected)
    assert shown(rejected) == (422, body["error"])


def test_a_rejection_of_another_dialect_is_rendered_again() -> None:
    body = b'{"type":"error","error":{"type":"not_found_error","message":"no"}}'
    rejected = UpstreamRejected("no", status=404, type="not_found_error", body=body)
    status, error = shown(rejected)
    assert (status, error["message"], error["type"]) == (404, "no", "not_found_error")


def test_what_only_the_operator_may_know_is_not_shown() -> None:
    _, body = OPENAI_CHAT.encode_error(UpstreamDenied("x", told_operator="sk-1"), "r")
    assert b"sk-1" not in body


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "code"),
    [
        (
            400,
            b'{"error":{"message":"m","type":"invalid_request_error","code":"c"}}',
            UpstreamRejected,
            "m",
            "c",
        ),
        (
            400,
            b'{"object":"error","message":"m","type":"BadRequestError","code":400}',
            UpstreamRejected,
            "m",
            "400",
        ),
        (404, b'{"detail":"Not Found"}', UpstreamRejected, "Not Found", None),
        (
            422,
            b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
            UpstreamRejected,
            "field required",
            None,
        ),
        (
            404,
            b'{"error":"model \'x\' not found"}',
            UpstreamModelMissing,
            "model 'x' not found",
            "model_not_found",
        ),
        (
            400,
            b'[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]',
            UpstreamRejected,
            "m",
            "400",
        ),
        (
            400,
            b'{"error":{"message":"maximum context length is 8"}}',
            UpstreamRejected,
            "maximum context length is 8",
            "context_length_exceeded",
        ),
        (
            502,
            b"<html>Bad</html>",
            UpstreamOverloaded,
            "the provider answered with an HTML page",
            "upstream_overloaded",
        ),
        (
            503,
            b"",
            UpstreamOverloaded,
            "the provider answered 503",
            "upstream_overloaded",
        ),
        (429, b'{"error":{"message":"m"}}', UpstreamRateLimited, "m", None),
        (
            429,
            b'{"error":{"message":"m","type":"insufficient_quota"}}',
            UpstreamQuota,
            "m",
            None,
        ),
        (504, b"{}", UpstreamTimeout, "{}", "upstream_timeout"),
        (200, b'{"error":{"message":"m"}}', UpstreamOverloaded, "m", None),
        (
            200,
            b'{"error":{"message":"m","type":"invalid_request_error"}}',
            UpstreamRejected,
            "m",
            None,
        ),
    ],
)
def test_every_servers_error_is_understood(
    status: int, body: bytes, kind: type[GatewayError], message: str, code: str | None
) -> None:
    error = OPENAI_CHAT.decode_error(status, body)
    assert type(error) is kind
    assert error.message == message
    if code is not None:
        assert error.code == code


@pytest.mark.parametrize("status", [401, 402, 403])
def test_the_words_about_a_refused_key_are_for_the_operator(status: int) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-1"}}'
    error = OPENAI_CHAT.decode_error(status, body)
    assert isinstance(error, UpstreamDenied)
    assert "sk-1" in error.told_operator
    assert "sk-1" not in error.message


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=20)
    | json_values(12).map(lambda v: json.dumps(v).encode())
    | json_values(12).map(lambda v: json.dumps({"error": v}).encode())
    | st.builds(
        lambda m, c: json.dumps({"error": {"message": m, "code": c}}).encode(),
        json_values(2),
        json_values(2),
    ),
)
def test_any_error_body_gives_one_of_our_errors_that_can_be_shown(
    status: int, body: bytes
) -> None:
    error = OPENAI_CHAT.decode_error(status, body)
    assert isinstance(error, UpstreamError | UpstreamRejected)
    told, fields = shown(error)
    assert told >= 400
    assert isinstance(fields["message"], str) and isinstance(fields["type"], str)
