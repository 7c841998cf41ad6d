"""What a provider's error means: design §6's table, status by status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamError,
    UpstreamModelMissing,
    UpstreamOverloaded,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from modelplex.wire.upstream import Complaint, classify, text_of

maybe = st.none() | st.text(max_size=12)
complaints = st.builds(
    Complaint, st.text(max_size=30), maybe, maybe, maybe, st.binary(max_size=9)
)


@pytest.mark.parametrize(
    ("status", "kind", "shown", "failover"),
    [
        (200, UpstreamError, 502, True),
        (303, UpstreamError, 502, True),
        (400, UpstreamRejected, 400, False),
        (401, UpstreamDenied, 502, True),
        (402, UpstreamDenied, 502, True),
        (403, UpstreamDenied, 502, True),
        (404, UpstreamRejected, 404, False),
        (408, UpstreamTimeout, 504, True),
        (413, UpstreamRejected, 413, False),
        (422, UpstreamRejected, 422, False),
        (429, UpstreamRateLimited, 429, True),
        (500, UpstreamOverloaded, 502, True),
        (502, UpstreamOverloaded, 502, True),
        (503, UpstreamOverloaded, 503, True),
        (504, UpstreamTimeout, 504, True),
        (520, UpstreamOverloaded, 502, True),
        (529, UpstreamOverloaded, 529, True),
    ],
)
def test_every_status_has_its_meaning(
    status: int, kind: type[GatewayError], shown: int, failover: bool
) -> None:
    error = classify(status, Complaint("words"))
    assert (type(error), error.status, error.failover) == (kind, shown, failover)


@given(complaints, st.sampled_from([401, 402, 403]))
def test_a_guest_never_reads_why_a_key_was_refused(
    complaint: Complaint, status: int
) -> None:
    error, other = classify(status, complaint), classify(status, Complaint("x"))
    assert isinstance(error, UpstreamDenied)
    assert vars(error) | {"told_operator": ""} == vars(other) | {"told_operator": ""}
    assert str(error) == str(other)
    assert complaint.message in error.told_operator


@pytest.mark.parametrize(
    "complaint",
    [
        Complaint("You exceeded your current quota, please check your plan"),
        Complaint("no", code="insufficient_quota"),
        Complaint("no", type="billing_error"),
    ],
)
def test_used_up_credit_is_not_cured_by_waiting(complaint: Complaint) -> None:
    error = classify(429, complaint)
    assert isinstance(error, UpstreamQuota)
    assert error.should_retry is False


@pytest.mark.parametrize(
    ("complaint", "missing"),
    [
        (Complaint("The model `x` does not exist"), True),
        (Complaint("model: claude-9"), True),
        (Complaint("gone", code="model_not_found"), True),
        (Complaint("no such file"), False),
        (Complaint("remodelling"), False),
    ],
)
def test_another_provider_may_have_a_model_that_one_has_not(
    complaint: Complaint, missing: bool
) -> None:
    error = classify(404, complaint)
    assert isinstance(error, UpstreamModelMissing) is missing
    assert error.failover is missing


def test_a_refused_request_keeps_what_the_provider_said() -> None:
    error = classify(422, Complaint("bad", "t", "c", "p", b"{}"))
    assert isinstance(error, UpstreamRejected)
    assert (error.message, error.type, error.code) == ("bad", "t", "c")
    assert (error.param, error.body) == ("p", b"{}")


@pytest.mark.parametrize(
    "words", ["prompt is too long: 9 tokens", "maximum context length is 8"]
)
def test_a_prompt_over_the_context_has_one_code_everywhere(words: str) -> None:
    assert classify(400, Complaint(words)).code == "context_length_exceeded"
    assert classify(400, Complaint(words, code="own")).code == "own"


@given(complaints, st.integers(100, 999))
def test_every_answer_is_an_error_with_words_for_it(
    complaint: Complaint, status: int
) -> None:
    error = classify(status, complaint)
    assert 400 <= error.status < 600
    assert error.message
    assert len(classify(status, Complaint("x" * 9999)).message) < 2100


@given(st.binary(max_size=300))
def test_any_body_gives_a_few_words(body: bytes) -> None:
    assert len(text_of(body)) <= 200
    assert text_of(b" <html><script>") == "the provider answered with an HTML page"
