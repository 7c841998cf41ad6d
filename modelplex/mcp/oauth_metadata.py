"""
What a server and its authority say of themselves, and where they say it.

RFC 9728 for the server (protected resource metadata), RFC 8414 for the authority; the
paths that are tried are those of MCP 2026-07-28, authorization. All of it is pure.
"""

from __future__ import annotations

import re
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from attrs import frozen

from modelplex.errors import UpstreamMalformed
from modelplex.mcp.remote_address import Place, origin_of

T = TypeVar("T", bound=msgspec.Struct)

BASIC = "client_secret_basic"
POST = "client_secret_post"
_PARAMETER = re.compile(r'([A-Za-z_]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_QUOTED = re.compile(r"\\(.)")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
SCOPES = 64  # names that are asked for


class Resource(msgspec.Struct):
    """The metadata of a protected resource."""

    resource: str = ""
    authorization_servers: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()


class Issuer(msgspec.Struct):
    """The metadata of an authority."""

    issuer: str
    token_endpoint: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = (BASIC,)

    @property
    def way(self) -> str:
        """
        How it takes our secret.

        :raises UpstreamMalformed: in no way that we know.
        """
        for way in (BASIC, POST):
            if way in self.token_endpoint_auth_methods_supported:
                return way
        raise UpstreamMalformed("the authority takes no client secret")


class Granted(msgspec.Struct):
    """A token."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: float | str | None = None
    scope: str | None = None


class Refused(msgspec.Struct):
    """Why there is none."""

    error: str = ""
    error_description: str = ""


@frozen
class Challenge:
    """
    What a server wants to see.

    :ivar metadata: where its metadata is; empty when it does not say.
    :ivar error: such as ``insufficient_scope``.
    """

    metadata: str = ""
    scopes: frozenset[str] = frozenset()
    error: str = ""


def challenge_of(header: str) -> Challenge:
    """Read a ``WWW-Authenticate``; what is not understood says nothing."""
    _, bearer, rest = header.partition("Bearer")
    if not bearer:
        return Challenge()
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(rest[:8192]):
        found.setdefault(name.lower(), _QUOTED.sub(r"\1", quoted) or plain)
    return Challenge(
        found.get("resource_metadata", ""),
        scopes_of(found.get("scope", "")),
        found.get("error", ""),
    )


def scopes_of(text: str) -> frozenset[str]:
    """The names in a ``scope``."""
    names = [name for name in text.split() if _SCOPE.fullmatch(name)]
    return frozenset(names[:SCOPES])


def read(body: bytes, kind: type[T], what: str) -> T:
    """
    The JSON `body` as a `kind`.

    :raises UpstreamMalformed: it is none.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamMalformed(f"the {what} cannot be read") from None


def resource_urls(server: Place) -> list[str]:
    """Where a server's metadata may be when it does not say."""
    origin, path = server.address.origin, server.path
    known = f"{origin}/.well-known/oauth-protected-resource"
    return [known + path, known] if path else [known]


def issuer_urls(issuer: str) -> list[str]:
    """
    Where the metadata of an authority may be.

    :raises ValueError: `issuer` is no URL.
    """
    origin_of(issuer)
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = [
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
    ]
    return (
        [*found, f"{origin}{path}/.well-known/openid-configuration"] if path else found
    )


def is_of(resource: str, server: Place) -> bool:
    """Whether `resource`, an identifier in metadata, is that of the server we ask."""
    try:
        if origin_of(resource) != origin_of(server.url):
            return False
    except ValueError:
        return False
    path = urlsplit(resource).path.rstrip("/")
    return server.path == path or server.path.startswith(path + "/")
