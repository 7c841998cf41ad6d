"""
Tokens for a remote server, by the client credentials grant (OAuth 2.1).

Nothing is sent before the server asks for it. What it then says leads to its authority,
whose identity is held against what was asked for, and to which the client's secret is
bound from then on: a server cannot send it to another one later.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import quote, urlencode

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from modelplex.errors import GatewayError, UpstreamError, UpstreamMalformed
from modelplex.mcp.oauth_metadata import (
    BASIC,
    POST,
    SCOPES,
    Challenge,
    Granted,
    Issuer,
    Refused,
    Resource,
    challenge_of,
    is_of,
    issuer_urls,
    read,
    resource_urls,
    scopes_of,
)
from modelplex.mcp.remote_address import Discovery, Place, origin_of, place
from modelplex.mcp.remote_settings import OAuthSettings
from modelplex.mcp.remote_url import Headers
from modelplex.outbound.body import read_body
from modelplex.outbound.shared import Shared
from modelplex.outbound.transport import Transport
from modelplex.timing import limited
from modelplex.tools import ToolServerError, ToolServerTimeout

EARLY = 60.0  # seconds of its life in which a token is replaced
AGAIN = 30.0  # seconds until that is tried again, while the old one still holds
ASKING = 20.0  # seconds to find the authority and to fetch a token
LASTS = 3600.0  # seconds that a token is taken to live when nobody says
LONGEST = 86_400.0
_BODY = 2**16  # bytes of an answer that are read
_WORDS = 300  # characters of a refusal that are told
_ACCEPT = (b"accept", b"application/json")
_FORM = (b"content-type", b"application/x-www-form-urlencoded")

Dial: TypeAlias = Callable[[Place, bool], Transport]
"""Makes a `Transport`; with ``True`` to addresses of the public internet only."""


@define(eq=False, repr=False)
class ClientCredentials:
    """
    A bearer token, kept until it is nearly over; an `Authority`.

    :ivar name: how errors call the server that it is for.
    """

    log = Logger()

    name: str
    _settings: OAuthSettings
    _server: Place
    _dial: Dial = field(repr=False)
    _clock: IReactorTime
    _token: str = field(default="", repr=False)
    _before: str = field(default="", repr=False)  # requests with it may still run
    _ends: float = 0.0  # when the token does, on the clock
    _renew: float = 0.0  # when it is to be replaced
    _scopes: frozenset[str] = frozenset()
    _challenge: Challenge | None = None
    _issuer: Issuer | None = None
    _bound: str = ""  # the issuer that has our secret
    _resource: str = ""
    _fetching: Shared[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._fetching = Shared(self._fetched)
        self._bound = self._settings.issuer
        self._scopes = scopes_of(self._settings.scope)

    @property
    def secrets(self) -> Sequence[str]:
        known = (self._settings.client_secret.reveal(), self._token, self._before)
        return tuple(filter(None, known))

    async def headers(self) -> Headers:
        if self._challenge is None:
            return ()
        if self._clock.seconds() >= self._renew:
            await self._renewed()
        return self._sent()

    def _sent(self) -> Headers:
        return ((b"authorization", b"Bearer " + self._token.encode("ascii")),)

    async def challenged(self, status: int, challenge: str, sent: Headers) -> bool:
        if sent and sent != self._sent():
            return True  # it was about the token before this one
        said = challenge_of(challenge)
        if status == 403:
            wanted = self._scopes | said.scopes
            more = self._scopes < wanted and len(wanted) <= SCOPES
            if said.error != "insufficient_scope" or not more:
                return False
            self._scopes = wanted
        else:
            if self._challenge is not None:
                # What is known of the authority may be what is wrong.
                self._issuer = None
            if not self._settings.scope:
                self._scopes |= said.scopes
        if self._challenge is None or said.metadata:
            self._challenge = said
        self._ends = self._renew = 0.0
        return True

    async def close(self) -> None:
        self._fetching.stop()

    async def _renewed(self) -> None:
        try:
            await self._fetching.wait()
        except GatewayError:
            now = self._clock.seconds()
            if now >= self._ends:
                raise
            self._renew = min(now + AGAIN, self._ends)

    async def _fetched(self) -> None:
        asked = self._clock.seconds()
        try:
            granted = await limited(
                Deferred.fromCoroutine(self._asked()),
                ASKING,
                self._clock,
                lambda: ToolServerTimeout(f"{self.name}: its authority is silent"),
            )
        except UpstreamError as e:
            raise ToolServerError(f"{self.name}: no token: {e.message}") from None
        token, lasts = self._usable(granted)
        self._before, self._token = self._token, token
        self._ends = asked + lasts
        self._renew = self._ends - min(EARLY, lasts / 2)

    def _usable(self, granted: Granted) -> tuple[str, float]:
        token = granted.access_token
        try:
            lasts = LASTS if granted.expires_in is None else float(granted.expires_in)
        except ValueError:
            lasts = math.nan
        sendable = token.isascii() and token.isprintable() and " " not in token
        if not token or not sendable or not math.isfinite(lasts):
            raise ToolServerError(f"{self.name}: its authority's token is unreadable")
        if granted.token_type.lower() != "bearer":
            raise ToolServerError(f"{self.name}: its authority's token is no bearer's")
        return token, min(max(lasts, 0.0), LONGEST)

    async def _asked(self) -> Granted:
        if self._issuer is None:
            self._issuer = await self._discovered()
        issuer, settings = self._issuer, self._settings
        form = {"grant_type": "client_credentials", "resource": self._resource}
        if self._scopes:
            form["scope"] = " ".join(sorted(self._scopes))
        headers = [_FORM, _ACCEPT]
        secret = settings.client_secret.reveal()
        way = issuer.way
        if way == BASIC:
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            proof = b"Basic " + b64encode(pair.encode("ascii"))
            headers.append((b"authorization", proof))
        else:
            assert way == POST
            form |= {"client_id": settings.client_id, "client_secret": secret}
        body = urlencode(form).encode("ascii")
        status, said = await self._ask(b"POST", issuer.token_endpoint, headers, body)
        if status != 200:
            raise self._refusal(status, said)
        return read(said, Granted, "token")

    def _refusal(self, status: int, body: bytes) -> ToolServerError:
        """The authority's words are the operator's, and not a guest's."""
        try:
            refused = read(body, Refused, "refusal")
        except UpstreamMalformed:
            refused = Refused()
        words = f"{refused.error} {refused.error_description}"
        for secret in self.secrets:
            words = words.replace(secret, "***")
        self.log.warn(
            "Tool server {name}: its authority answered {status}: {words}",
            name=self.name,
            status=status,
            words=" ".join(words[:_WORDS].split()),
        )
        return ToolServerError(
            f"{self.name}: its authority gave no token; the operator was told"
        )

    # Finding the authority

    async def _discovered(self) -> Issuer:
        name, resource = await self._named()
        if self._bound and name != self._bound:
            raise ToolServerError(f"{self.name}: it names another authority")
        issuer = await self._described(name)
        if not self._discovery.allows(issuer.token_endpoint):
            raise ToolServerError(f"{self.name}: its authority may not be asked")
        self._bound, self._resource = name, resource
        return issuer

    async def _named(self) -> tuple[str, str]:
        """The identifiers of the authority and of the server."""
        said = self._challenge.metadata if self._challenge is not None else ""
        for url in [said] if said else resource_urls(self._server):
            body = await self._metadata(url)
            if body is None:
                continue
            found = read(body, Resource, "server's metadata")
            if not is_of(found.resource, self._server):
                raise ToolServerError(f"{self.name}: its metadata is another server's")
            if not self._scopes:
                self._scopes = scopes_of(" ".join(found.scopes_supported))
            servers = found.authorization_servers
            if self._bound in servers:
                return self._bound, found.resource
            if servers:
                return servers[0], found.resource
        # One of 2025-03-26 is its own authority.
        return self._bound or self._server.address.origin, self._server.url

    async def _described(self, name: str) -> Issuer:
        try:
            urls = issuer_urls(name)
        except ValueError:
            raise ToolServerError(f"{self.name}: its authority has no URL") from None
        for url in urls:
            body = await self._metadata(url)
            if body is not None:
                issuer = read(body, Issuer, "authority's metadata")
                if issuer.issuer != name:
                    raise ToolServerError(f"{self.name}: its authority is another one")
                return issuer
        raise ToolServerError(f"{self.name}: its authority does not describe itself")

    @property
    def _discovery(self) -> Discovery:
        return Discovery(tuple(filter(None, [self._server.url, self._settings.issuer])))

    async def _metadata(self, url: str) -> bytes | None:
        if not self._discovery.allows(url):
            raise ToolServerError(f"{self.name}: it names a URL that may not be asked")
        status, body = await self._ask(b"GET", url, [_ACCEPT], None)
        if status == 200:
            return body
        if 300 <= status < 400 or status >= 500:
            raise ToolServerError(f"{self.name}: its metadata was answered {status}")
        return None

    async def _ask(
        self,
        method: bytes,
        url: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
    ) -> tuple[int, bytes]:
        """One request on a connection of its own; redirects are not followed."""
        where = place(url)
        if origin_of(url) == origin_of(self._server.url):
            where = Place(self._server.address, where.target)  # maybe a UNIX socket
        transport = self._dial(where, not self._discovery.is_known(url))
        try:
            response = await transport.request(method, where.target, headers, body)
            said = await read_body(response, _BODY, self._clock, ASKING)
            return response.code, said
        finally:
            await transport.close()
