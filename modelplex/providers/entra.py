"""
Microsoft Entra's tokens for a service, by the client credentials grant.

A token lives about an hour. Nothing watches its age: whoever needs one in its last
minutes fetches the next, and all who come meanwhile wait for the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import time
from urllib.parse import quote, urlencode

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IResponse

from modelplex.errors import (
    GatewayError,
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from modelplex.outbound.body import read_body
from modelplex.outbound.response_head import wait_of
from modelplex.outbound.shared import Shared
from modelplex.outbound.transport import Transport
from modelplex.settings import Entra
from modelplex.settings_types import DAY
from modelplex.timing import limited
from modelplex.wire.upstream import Complaint, classify

EARLY = 300.0  # seconds of its life in which a token is replaced
AGAIN = 30.0  # seconds until that is tried again, while the old one still holds
ASKING = 10.0  # seconds to fetch one
_BODY = 2**16  # bytes of an answer that are read
_WORDS = 500  # characters of a refusal that are told
_FORM = (b"content-type", b"application/x-www-form-urlencoded")
_ACCEPT = (b"accept", b"application/json")


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | str


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


@define(eq=False)
class EntraCredentials:
    """
    A bearer token, kept until it is nearly over; see `Credentials`.

    :ivar name: how errors call the provider that it is for.
    """

    name: str
    _entra: Entra
    _transport: Transport = field(repr=False)
    _clock: IReactorTime
    _now: Callable[[], float] = time  # seconds since 1970, for dates in headers
    _token: str = field(default="", repr=False)
    _before: str = field(default="", repr=False)  # requests with it may still run
    _ends: float = 0.0  # when the token does, on the clock
    _renew: float = 0.0  # when it is to be replaced
    _fetching: Shared[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._fetching = Shared(self._fetched)

    @property
    def secrets(self) -> Sequence[str]:
        known = (self._entra.client_secret.reveal(), self._token, self._before)
        return tuple(filter(None, known))

    async def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        if self._clock.seconds() >= self._renew:
            await self._renewed()
        return ((b"authorization", b"Bearer " + self._token.encode("ascii")),)

    def refused(self) -> None:
        self._ends = self._renew = 0.0

    async def close(self) -> None:
        self._fetching.stop()
        await self._transport.close()

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
        token, lasts = await limited(
            Deferred.fromCoroutine(self._asked()),
            ASKING,
            self._clock,
            lambda: UpstreamTimeout(f"{self.name}: no token in {ASKING:g} seconds"),
        )
        self._before, self._token = self._token, token
        self._ends = asked + lasts
        self._renew = self._ends - min(EARLY, lasts / 2)

    async def _asked(self) -> tuple[str, float]:
        """A token and the seconds that it lives."""
        entra = self._entra
        form = {
            "grant_type": "client_credentials",
            "client_id": entra.client_id,
            "client_secret": entra.client_secret.reveal(),
            "scope": entra.scope,
        }
        response = await self._transport.post(
            f"/{quote(entra.tenant_id, safe='')}/oauth2/v2.0/token",
            [_FORM, _ACCEPT],
            urlencode(form).encode("ascii"),
        )
        body = await read_body(response, _BODY, self._clock, ASKING)
        if response.code != 200:
            raise self._refusal(response, body)
        return self._granted(body)

    def _granted(self, body: bytes) -> tuple[str, float]:
        try:
            granted = msgspec.json.decode(body, type=_Granted)
            token, lasts = granted.access_token, float(granted.expires_in)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise UpstreamMalformed(f"{self.name}: the token is unreadable") from None
        sendable = token.isascii() and token.isprintable() and " " not in token
        if not token or not sendable or not math.isfinite(lasts):
            raise UpstreamMalformed(f"{self.name}: the token is unreadable")
        return token, min(max(lasts, 0.0), DAY)

    def _refusal(self, response: IResponse, body: bytes) -> GatewayError:
        """Entra says what is wrong with an error code and words for the operator."""
        status = response.code
        if status < 400:
            return UpstreamError(f"{self.name}: asked for a token, it said {status}")
        if status >= 500 or status in (408, 429):
            told = f"{self.name}: no token, the authority answered {status}"
            error = classify(status, Complaint(told))
            error.retry_after = wait_of(response, self._now())
            return error
        try:
            refused = msgspec.json.decode(body, type=_Refused)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            refused = _Refused()
        words = f"{refused.error} {refused.error_description}"
        for secret in self.secrets:
            words = words.replace(secret, "***")
        told = " ".join([str(status), "from the authority:", *words[:_WORDS].split()])
        return UpstreamDenied(
            "the provider refused the operator's credentials; the operator was told",
            told_operator=told,
        )
