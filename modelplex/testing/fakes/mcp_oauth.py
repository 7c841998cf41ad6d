"""A fake authority for tool servers: metadata, and tokens for a client's own secret."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, unquote

from attrs import define, field
from twisted.web.server import Request

from modelplex.testing.fakes.mcp_answers import as_json

WELL_KNOWN = "/.well-known/"


@define(eq=False)
class FakeAuthority:
    """
    What one server asks for, and what its authority gives.

    :ivar origin: where both are, once they listen.
    :ivar issuer: what the metadata calls the authority; default: `origin`.
    :ivar resource: what the metadata calls the server; default: its URL.
    :ivar ways: how the authority takes the secret.
    :ivar scopes: what a token must have for each tool; ``*`` for every request.
    :ivar asked: the forms of the requests for tokens.
    :ivar lasts: seconds that a token is said to live.
    """

    client_id: str = "client-x"
    secret: str = "secret-x"
    issuer: str = ""
    token_endpoint: str = ""
    resource: str = ""
    ways: tuple[str, ...] = ("client_secret_basic",)
    scopes: dict[str, str] = field(factory=dict)
    lasts: int = 3600
    origin: str = ""
    asked: list[dict[str, str]] = field(factory=list)
    tokens: dict[str, frozenset[str]] = field(factory=dict, repr=False)

    def challenge(self, request: Request, tool: str | None) -> bool:
        """Refuse a request that has no token that is good enough; whether it was."""
        metadata = f'resource_metadata="{self.origin}/.well-known/oauth-resource"'
        given = (request.getHeader("authorization") or "").removeprefix("Bearer ")
        needed = {self.scopes[k] for k in ("*", tool) if k in self.scopes}
        scope = f'scope="{" ".join(sorted(needed))}"' if needed else ""
        if given not in self.tokens:
            request.setResponseCode(401)
            said = ", ".join(filter(None, [metadata, scope]))
        elif not needed <= self.tokens[given]:
            request.setResponseCode(403)
            said = ", ".join(['error="insufficient_scope"', scope, metadata])
        else:
            return False
        request.setHeader("www-authenticate", f"Bearer {said}")
        return True

    def answer(self, request: Request) -> bytes | None:
        """The answer to a request of the authority's own paths; ``None`` for others."""
        path = request.path.decode("ascii")
        if path == f"{WELL_KNOWN}oauth-resource":
            resource = self.resource or f"{self.origin}/mcp"
            servers = [self.issuer or self.origin]
            return as_json(
                request, {"resource": resource, "authorization_servers": servers}
            )
        if path.startswith(f"{WELL_KNOWN}oauth-authorization-server"):
            return as_json(request, self._metadata())
        if path == "/token":
            return self._token(request)
        return None

    def revoke(self) -> None:
        """No token that was given is good any longer."""
        self.tokens.clear()

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer or self.origin,
            "token_endpoint": self.token_endpoint or f"{self.origin}/token",
            "token_endpoint_auth_methods_supported": list(self.ways),
            "grant_types_supported": ["client_credentials"],
        }

    def _token(self, request: Request) -> bytes:
        assert request.content is not None
        form = {k: v[0] for k, v in parse_qs(request.content.read().decode()).items()}
        self.asked.append(form)
        who = form.get("client_id"), form.get("client_secret")
        basic = (request.getHeader("authorization") or "").partition("Basic ")[2]
        if "client_secret_basic" in self.ways:
            name, _, secret = b64decode(basic).decode().partition(":")
            who = unquote(name), unquote(secret)
        if who != (self.client_id, self.secret):
            words = f"no client {who[0]} with {who[1]}"
            told = {"error": "invalid_client", "error_description": words}
            return as_json(request, told, 401)
        token = f"token-secret-{len(self.asked)}"
        self.tokens[token] = frozenset(form.get("scope", "").split())
        lasts = {"token_type": "Bearer", "expires_in": self.lasts}
        return as_json(request, {"access_token": token, **lasts})
