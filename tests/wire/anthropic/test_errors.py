from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex import errors
from modelplex.testing.strategies import json_values
from modelplex.wire.anthropic.errors import decode_error, encode_error


def body(type: str, message: str = "no", **details: str) -> bytes:
    error = {"type": type, "message": message, "details": details or None}
    return json.dumps({"type": "error", "error": error}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, body("invalid_request_error"), errors.UpstreamRejected),
        (401, body("authentication_error"), errors.UpstreamDenied),
        (402, body("billing_error"), errors.UpstreamDenied),
        (403, body("permission_error"), errors.UpstreamDenied),
        (404, body("not_found_error", "model: claude-x"), errors.UpstreamModelMissing),
        (413, body("request_too_large"), errors.UpstreamRejected),
        (429, body("rate_limit_error"), errors.UpstreamRateLimited),
        (
            429,
            body("rate_limit_error", error_code="enforced_spend_limit_reached"),
            errors.UpstreamQuota,
        ),
        (500, body("api_error"), errors.UpstreamOverloaded),
        (504, body("timeout_error"), errors.UpstreamTimeout),
        (529, body("overloaded_error"), errors.UpstreamOverloaded),
        (200, body("overloaded_error"), errors.UpstreamOverloaded),
        (200, body("authentication_error"), errors.UpstreamDenied),
        (502, b"<html>Bad Gateway</html>", errors.UpstreamOverloaded),
        (400, b'{"error":"no"}', errors.UpstreamRejected),
    ],
)
def test_an_answer_means(
    status: int, answer: bytes, kind: type[errors.GatewayError]
) -> None:
    assert type(decode_error(status, answer)) is kind


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"error":"no"}', "no"),
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"message":"no"}', "no"),
        (b"no", "no"),
        (b"", "the provider answered 400"),
        (b"<html>", "the provider answered with an HTML page"),
    ],
)
def test_the_words_are_found_in_any_shape(answer: bytes, message: str) -> None:
    assert decode_error(400, answer).message == message


@given(
    status=st.sampled_from([200, 400, 401, 404, 429, 500, 529, 599]),
    answer=st.one_of(
        st.binary(max_size=20),
        json_values().map(lambda v: json.dumps(v).encode()),
        json_values().map(lambda v: json.dumps({"error": v}).encode()),
        st.dictionaries(
            st.sampled_from(["type", "message", "details"]), json_values()
        ).map(lambda v: json.dumps({"error": v}).encode()),
    ),
)
def test_any_answer_is_an_error(status: int, answer: bytes) -> None:
    assert isinstance(decode_error(status, answer), errors.GatewayError)


@pytest.mark.parametrize(
    ("error", "status", "type"),
    [
        (errors.BadRequest("no"), 400, "invalid_request_error"),
        (errors.UnknownModel("no"), 404, "not_found_error"),
        (errors.Forbidden("no"), 403, "permission_error"),
        (errors.LimitReached("no"), 429, "rate_limit_error"),
        (errors.TooLarge("no"), 413, "request_too_large"),
        (errors.RequestTimeout("no"), 408, "timeout_error"),
        (errors.ShuttingDown("no"), 503, "api_error"),
        (errors.UpstreamDenied("no"), 502, "api_error"),
        (errors.UpstreamTimeout("no"), 504, "timeout_error"),
        (errors.UpstreamOverloaded("no", status=529), 529, "overloaded_error"),
        (errors.UpstreamOverloaded("no", status=503), 503, "overloaded_error"),
        (errors.UpstreamOverloaded("no", status=502), 502, "api_error"),
        (errors.UpstreamRejected("no", status=422), 400, "invalid_request_error"),
        (errors.UpstreamRejected("no", status=410), 410, "invalid_request_error"),
        (errors.GatewayError("no"), 500, "api_error"),
    ],
)
def test_an_error_is_told_as_anthropic_would(
    error: errors.GatewayError, status: int, type: str
) -> None:
    answered, written = encode_error(error, "req_1")
    assert answered == status
    assert json.loads(written) == {
        "type": "error",
        "error": {"type": type, "message": "no"},
        "request_id": "req_1",
    }


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_agents_know() -> None:
    code = "context_length_exceeded"
    error = errors.UpstreamRejected("maximum context is 8192", status=400, code=code)
    _, written = encode_error(error, "")
    message = json.loads(written)["error"]["message"]
    assert message == "prompt is too long: maximum context is 8192"


def test_a_body_of_another_dialect_is_not_passed_on() -> None:
    theirs = b'{"error":{"message":"no","type":"invalid_request_error"}}'
    error = errors.UpstreamRejected("no", status=400, body=theirs)
    assert encode_error(error, "")[1] != theirs
