"""Errors that come before any answer, both ways."""

from __future__ import annotations

import json

import pytest

from modelplex import errors
from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamRateLimited,
    UpstreamRejected,
)
from modelplex.testing.oracle_responses import accumulate
from modelplex.wire.dialect import Answering
from modelplex.wire.responses.dialect import RESPONSES


def _instances() -> list[GatewayError]:
    found: list[GatewayError] = []
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, GatewayError):
            if issubclass(kind, UpstreamRejected):
                found.append(kind("no", status=400))
            else:
                found.append(kind("no"))
    return found


@pytest.mark.parametrize("error", _instances(), ids=lambda e: type(e).__name__)
def test_every_error_has_a_form_before_and_inside_a_stream(error: GatewayError) -> None:
    status, body = RESPONSES.encode_error(error, "req")
    assert 400 <= status < 600
    assert json.loads(body)["error"]["message"]
    response = accumulate(RESPONSES.encoder(Answering("m", 1)).fail(error))
    assert response["status"] == "failed"


def test_a_provider_s_words_about_the_request_are_passed_on() -> None:
    body = (
        b'{"error":{"message":"No tool output found for function call c.",'
        b'"type":"invalid_request_error","param":"input","code":null}}'
    )
    error = RESPONSES.decode_error(400, body)
    assert type(error) is UpstreamRejected
    status, told = RESPONSES.encode_error(error, "req")
    assert (status, json.loads(told)) == (400, json.loads(body))


def test_a_provider_s_words_about_its_key_are_not() -> None:
    error = RESPONSES.decode_error(401, b'{"error":{"message":"Bad key sk-123"}}')
    assert type(error) is UpstreamDenied
    assert b"sk-123" not in RESPONSES.encode_error(error, "req")[1]
    assert b"sk-123" not in RESPONSES.encoder(Answering("m", 1)).fail(error)


def test_when_a_limit_is_over_is_read_and_told_in_words() -> None:
    body = b'{"error":{"message":"Please try again in 1.5s.","code":"x"}}'
    error = RESPONSES.decode_error(429, body)
    assert type(error) is UpstreamRateLimited and error.retry_after == 1.5
    quiet = UpstreamRateLimited("slow", retry_after=3)
    said = RESPONSES.encoder(Answering("m", 1)).fail(quiet)
    assert b"try again in 3s" in said


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":null}', b"\xff", b"[]"])
def test_an_error_without_words_is_one_of_the_provider(body: bytes) -> None:
    assert RESPONSES.decode_error(200, body).failover
