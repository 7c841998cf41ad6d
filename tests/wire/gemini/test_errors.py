from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex import errors
from modelplex.testing.strategies import json_values
from modelplex.wire.gemini.errors import decode_error, encode_error, encode_error_chunk


def body(code: int, status: str, message: str = "no", *details: Any) -> bytes:
    error = {"code": code, "message": message, "status": status, "details": details}
    return json.dumps({"error": error}).encode()


BAD_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
}
PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, body(400, "INVALID_ARGUMENT"), errors.UpstreamRejected),
        (400, body(400, "INVALID_ARGUMENT", "no", BAD_KEY), errors.UpstreamDenied),
        (400, body(400, "FAILED_PRECONDITION"), errors.UpstreamDenied),
        (401, body(401, "UNAUTHENTICATED"), errors.UpstreamDenied),
        (402, body(402, "PAYMENT_REQUIRED"), errors.UpstreamDenied),
        (403, body(403, "PERMISSION_DENIED"), errors.UpstreamDenied),
        (
            404,
            body(404, "NOT_FOUND", "models/x is not found"),
            errors.UpstreamModelMissing,
        ),
        (404, body(404, "NOT_FOUND", "no such file"), errors.UpstreamRejected),
        (429, body(429, "RESOURCE_EXHAUSTED"), errors.UpstreamRateLimited),
        (429, body(429, "RESOURCE_EXHAUSTED", "no", PER_DAY), errors.UpstreamQuota),
        (499, body(499, "CANCELLED"), errors.UpstreamOverloaded),
        (500, body(500, "INTERNAL"), errors.UpstreamOverloaded),
        (503, body(503, "UNAVAILABLE"), errors.UpstreamOverloaded),
        (504, body(504, "DEADLINE_EXCEEDED"), errors.UpstreamTimeout),
        (200, body(503, "UNAVAILABLE"), errors.UpstreamOverloaded),
        (200, body(0, "PERMISSION_DENIED"), errors.UpstreamDenied),
        (200, body(0, "?"), errors.UpstreamOverloaded),
        (502, b"<html>Bad Gateway</html>", errors.UpstreamOverloaded),
        (400, b'{"error":"no"}', errors.UpstreamRejected),
    ],
)
def test_an_answer_means(
    status: int, answer: bytes, kind: type[errors.GatewayError]
) -> None:
    assert type(decode_error(status, answer)) is kind
    assert type(decode_error(status, b"[" + answer + b"]")) is kind or status == 502


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"error":"no"}', "no"),
        (b'[{"error":{"message":"no"}}]', "no"),
        (b"no", "no"),
        (b"[]", "[]"),
        (b"", "the provider answered 400"),
        (b"<html>", "the provider answered with an HTML page"),
    ],
)
def test_the_words_are_found_in_any_shape(answer: bytes, message: str) -> None:
    assert decode_error(400, answer).message == message


def test_a_prompt_that_is_too_long_is_told_by_its_words() -> None:
    said = "The input token count (12) exceeds the maximum number of tokens allowed"
    error = decode_error(400, body(400, "INVALID_ARGUMENT", said))
    assert error.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("1s", 1.0), ("0.5s", 0.5), ("999999999s", 86_400.0), ("x", None), (1, None)],
)
def test_when_to_try_again_is_read(delay: Any, seconds: float | None) -> None:
    detail = {"retryDelay": delay}
    for code, word in ((429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")):
        error = decode_error(code, body(code, word, "no", "?", detail))
        assert error.retry_after == seconds


@given(
    status=st.sampled_from([200, 400, 401, 404, 429, 500, 529, 599]),
    answer=st.one_of(
        st.binary(max_size=20),
        json_values().map(lambda v: json.dumps(v).encode()),
        json_values().map(lambda v: json.dumps({"error": v}).encode()),
        st.dictionaries(
            st.sampled_from(["code", "status", "message", "details"]),
            st.one_of(
                json_values(),
                st.lists(
                    st.dictionaries(st.sampled_from(["violations"]), json_values())
                ),
            ),
        ).map(lambda v: json.dumps({"error": v}).encode()),
    ),
)
def test_any_answer_is_an_error(status: int, answer: bytes) -> None:
    assert isinstance(decode_error(status, answer), errors.GatewayError)


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (errors.BadRequest("no"), 400, "INVALID_ARGUMENT"),
        (errors.UnknownModel("no"), 404, "NOT_FOUND"),
        (errors.Forbidden("no"), 403, "PERMISSION_DENIED"),
        (errors.LimitReached("no"), 429, "RESOURCE_EXHAUSTED"),
        (errors.TooLarge("no"), 413, "INVALID_ARGUMENT"),
        (errors.RequestTimeout("no"), 408, "DEADLINE_EXCEEDED"),
        (errors.ShuttingDown("no"), 503, "UNAVAILABLE"),
        (errors.UpstreamDenied("no"), 502, "UNAVAILABLE"),
        (errors.UpstreamTimeout("no"), 504, "DEADLINE_EXCEEDED"),
        (errors.UpstreamOverloaded("no", status=529), 503, "UNAVAILABLE"),
        (errors.UpstreamRejected("no", status=422), 400, "INVALID_ARGUMENT"),
        (errors.GatewayError("no"), 500, "INTERNAL"),
        (errors.GatewayError("no", status=507), 507, "INTERNAL"),
    ],
)
def test_an_error_is_told_as_gemini_would(
    error: errors.GatewayError, status: int, word: str
) -> None:
    answered, written = encode_error(error, "req_1")
    told = json.loads(written)["error"]
    assert answered == told["code"] == status
    assert (told["status"], told["message"]) == (word, "no")
    assert {
        "@type": "type.googleapis.com/google.rpc.RequestInfo",
        "requestId": "req_1",
    } in told["details"]


def details(error: errors.GatewayError) -> dict[str, Any]:
    told = json.loads(encode_error_chunk(error))["error"].get("details", ())
    return {detail.pop("@type").rpartition(".")[2]: detail for detail in told}


def test_the_field_at_fault_is_named() -> None:
    error = errors.BadRequest("no", param="contents[0]", code="invalid_type")
    assert details(error) == {
        "BadRequest": {
            "fieldViolations": [{"field": "contents[0]", "description": "no"}]
        },
        "ErrorInfo": {"reason": "INVALID_TYPE", "domain": "modelplex"},
    }


def test_when_to_try_again_is_told_unless_it_is_in_vain() -> None:
    assert details(errors.LimitReached("no", retry_after=2))["RetryInfo"] == {
        "retryDelay": "2s"
    }
    assert "RetryInfo" not in details(errors.UpstreamQuota("no", retry_after=2))
    assert details(errors.GatewayError("no")) == {}


def test_only_a_body_of_gemini_is_passed_on() -> None:
    own = body(400, "INVALID_ARGUMENT")
    assert encode_error(decode_error(400, own), "r") == (400, own)
    theirs = b'{"error":{"message":"no","type":"invalid_request_error"}}'
    error = errors.UpstreamRejected("no", status=400, body=theirs)
    assert encode_error(error, "r")[1] != theirs
