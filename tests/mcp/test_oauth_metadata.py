"""What a server and its authority say of themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import UpstreamMalformed
from modelplex.mcp.oauth_metadata import (
    SCOPES,
    Challenge,
    Issuer,
    challenge_of,
    is_of,
    issuer_urls,
    read,
    resource_urls,
    scopes_of,
)
from modelplex.mcp.remote_address import place

SERVER = place("https://a.example/v1/mcp")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", Challenge()),
        ("Basic realm=x", Challenge()),
        ("Bearer", Challenge()),
        (
            'Bearer resource_metadata="https://a/m", scope="a b:c"',
            Challenge("https://a/m", frozenset(("a", "b:c"))),
        ),
        (
            'Basic realm="x", Bearer error=insufficient_scope, scope=a',
            Challenge("", frozenset("a"), "insufficient_scope"),
        ),
        (r'Bearer error="in\"valid"', Challenge(error='in"valid')),
    ],
)
def test_a_challenge_is_read(header: str, found: Challenge) -> None:
    assert challenge_of(header) == found


@given(st.text(max_size=200))
def test_any_challenge_is_read(header: str) -> None:
    assert len(challenge_of(f"Bearer {header}").scopes) <= SCOPES


@given(st.text(max_size=50))
def test_scopes_can_be_sent(text: str) -> None:
    for scope in scopes_of(text):
        assert scope.isascii() and " " not in scope and '"' not in scope


def test_where_metadata_is_looked_for() -> None:
    known = "https://a.example/.well-known/oauth-protected-resource"
    assert resource_urls(SERVER) == [f"{known}/v1/mcp", known]
    assert resource_urls(place("https://a.example")) == [known]
    assert issuer_urls("https://b.example/t/") == [
        "https://b.example/.well-known/oauth-authorization-server/t",
        "https://b.example/.well-known/openid-configuration/t",
        "https://b.example/t/.well-known/openid-configuration",
    ]
    assert len(issuer_urls("https://b.example")) == 2


@pytest.mark.parametrize(
    ("resource", "same"),
    [
        ("https://a.example/v1/mcp", True),
        ("https://a.example/v1/mcp/", True),
        ("https://a.example/v1", True),
        ("https://a.example", True),
        ("https://a.example/v1/mc", False),
        ("https://a.example/v1/mcp/more", False),
        ("https://b.example/v1/mcp", False),
        ("http://a.example/v1/mcp", False),
        ("", False),
    ],
)
def test_metadata_is_of_the_server_that_was_asked(resource: str, same: bool) -> None:
    assert is_of(resource, SERVER) is same


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"issuer":1}', b"\xff"])
def test_metadata_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed, match="metadata cannot be read"):
        read(body, Issuer, "metadata")


@pytest.mark.parametrize(
    ("ways", "way"),
    [
        (None, "client_secret_basic"),
        (("client_secret_post",), "client_secret_post"),
        (("client_secret_post", "client_secret_basic"), "client_secret_basic"),
    ],
)
def test_the_secret_goes_the_way_that_is_taken(
    ways: tuple[str, ...] | None, way: str
) -> None:
    known = {} if ways is None else {"token_endpoint_auth_methods_supported": ways}
    assert Issuer("i", "t", **known).way == way


def test_an_authority_that_takes_no_secret_is_an_error() -> None:
    with pytest.raises(UpstreamMalformed, match="takes no client secret"):
        Issuer("i", "t", ("private_key_jwt",)).way  # noqa: B018
