"""Which of a guest's headers reach a provider, and as what."""

from __future__ import annotations

from typing import Any, cast

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http_headers import Headers

from modelplex.surface.exchanges import passed_headers

NAMES = st.text("abcdefgh-_.", min_size=1, max_size=6)
KEYS = st.binary(max_size=40).map(lambda key: key.hex().encode())


@frozen
class Asking:
    """A request of which only the headers matter."""

    requestHeaders: Headers


def passed(guest: str, **headers: bytes) -> dict[bytes, bytes]:
    raw = {k.replace("_", "-").encode(): [v] for k, v in headers.items()}
    asking = cast(Any, Asking(Headers(raw)))
    return dict(passed_headers(asking, (b"openai-beta",), guest))


def test_only_known_headers_pass_as_they_are() -> None:
    found = passed("g", traceparent=b"t", openai_beta=b"b", cookie=b"c", x_key=b"k")
    assert found == {b"traceparent": b"t", b"openai-beta": b"b"}


def test_the_key_of_a_retry_is_the_same_after_a_restart() -> None:
    found = passed("coder", idempotency_key=b"retry-1")
    assert found == {
        b"idempotency-key": b"mpx-"
        b"34b9f9f360ceebbd2ff3cde89fe74d648f843d9e18f7fe71b4cdbccfdaf2f80a"
    }


@given(NAMES, NAMES, KEYS, KEYS)
def test_no_two_guests_have_the_same_key(
    one: str, other: str, key: bytes, another: bytes
) -> None:
    ours = passed(one, idempotency_key=key)[b"idempotency-key"]
    theirs = passed(other, idempotency_key=another)[b"idempotency-key"]
    assert (ours == theirs) == ((one, key) == (other, another))
    assert ours == passed(one, idempotency_key=key)[b"idempotency-key"]


def test_a_key_that_is_too_long_does_not_pass() -> None:
    assert passed("g", idempotency_key=b"k" * 1025) == {}
