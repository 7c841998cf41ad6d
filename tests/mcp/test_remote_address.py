"""Which URLs may be asked, and where a redirect may lead."""

from __future__ import annotations

import pytest

from modelplex.mcp.remote_address import (
    Discovery,
    may_be_configured,
    origin_of,
    place,
)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://a.example/mcp", "https://a.example", "/mcp"),
        ("https://a.example:8443", "https://a.example:8443", "/"),
        ("https://a.example/mcp/?key=1#x", "https://a.example", "/mcp/?key=1"),
        ("http+unix://%2Frun%2Fm.sock/mcp", "http://localhost", "/mcp"),
    ],
)
def test_a_url_is_asked_as_it_is_written(url: str, origin: str, target: str) -> None:
    found = place(url)
    assert (found.address.origin, found.target) == (origin, target)


def test_a_place_does_not_show_what_may_be_a_secret() -> None:
    assert "hidden" not in repr(place("https://a.example/hidden?key=hidden"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://a/b", "a.example/mcp", "https://", "https://me:pw@a/mcp"),
        *("https://a/é", "https://a/x y", "https://a:99999/"),
    ],
)
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        place(url)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("/messages?session=1", "/messages?session=1"),
        ("messages", "/v1/messages"),
        ("https://a.example:443/other", "/other"),
        ("", "/v1/mcp"),
        ("https://b.example/mcp", None),
        ("http://a.example/mcp", None),
        ("//b.example/mcp", None),
        ("https://a.example:444/", None),
        ("https://a.example@b.example/", None),
        ("javascript:1", None),
        ("/ÿ", None),
    ],
)
def test_a_reference_stays_on_its_origin(reference: str, target: str | None) -> None:
    found = place("https://a.example/v1/mcp").joined(reference)
    assert (None if found is None else found.target) == target


def test_ports_that_go_without_saying_are_the_same_origin() -> None:
    assert origin_of("https://A.example:443/x") == origin_of("https://a.example")


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("https://a.example/mcp", True),
        ("http+unix://%2Frun%2Fm.sock/mcp", True),
        *[(f"http://{host}:1/", True) for host in ("localhost", "127.0.0.9", "[::1]")],
        ("http://a.example/mcp", False),
        ("http://10.0.0.1/mcp", False),
        ("http://localhost.a.example/mcp", False),
        ("ws://localhost/", False),
    ],
)
def test_plain_http_is_for_this_machine(url: str, usable: bool) -> None:
    assert may_be_configured(url, plain_http=False) is usable


def test_plain_http_elsewhere_can_be_meant() -> None:
    assert may_be_configured("http://10.0.0.1/mcp", plain_http=True)


PUBLIC = Discovery(("https://a.example/mcp", "https://login.corp.internal/t"))
LOCAL = Discovery(("http://127.0.0.1:8000/mcp",))


@pytest.mark.parametrize(
    ("discovery", "url", "allowed", "known"),
    [
        (PUBLIC, "https://other.example/", True, False),
        (PUBLIC, "https://a.example/.well-known/x", True, True),
        (PUBLIC, "https://login.corp.internal/token", True, True),
        (PUBLIC, "http://other.example/", False, False),
        (PUBLIC, "http://127.0.0.1/", False, False),
        (PUBLIC, "https://localhost/", False, False),
        (PUBLIC, "https://169.254.169.254/", True, False),  # the connection looks
        (LOCAL, "http://localhost:9000/", True, True),
        (LOCAL, "http://10.0.0.1/", False, False),
        (LOCAL, "https://other.example/", True, False),
    ],
)
def test_metadata_leads_to_safe_places_only(
    discovery: Discovery, url: str, allowed: bool, known: bool
) -> None:
    assert discovery.allows(url) is allowed
    assert discovery.is_known(url) is known


def test_what_is_no_url_is_not_asked() -> None:
    assert not PUBLIC.allows("file:///etc/passwd")
