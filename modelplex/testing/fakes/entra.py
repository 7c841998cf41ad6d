"""A fake of Microsoft's token endpoint, for an application's own credentials."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from attrs import define, field

from modelplex.testing.fakes.script import Script
from modelplex.testing.fakes.speaker import Answer, Asked, Refused, dump, whole

_PATH = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
_SCOPES = (
    "https://cognitiveservices.azure.com/.default",
    "https://ai.azure.com/.default",
)
_WORDS = {
    "700016": "unauthorized_client",
    "7000215": "invalid_client",
    "70011": "invalid_scope",
    "90002": "invalid_request",
    "70003": "unsupported_grant_type",
}


@define(eq=False)
class Entra:
    """
    See `modelplex.testing.fakes.speaker.Speaker`; it has no models, only tokens.

    :ivar key: the client's secret.
    :ivar expires_in: seconds for which a token is good.
    :ivar now: seconds of some clock, by which tokens expire.
    :ivar asked: how many tokens were asked for, also in vain.
    """

    tenant: str = "tenant-x"
    client_id: str = "client-x"
    key: str = "secret-x"
    expires_in: int = 3599
    now: Callable[[], float] = time.monotonic
    models: tuple[str, ...] = ()
    garbage: bytes = b'{"token_type":"Bea'
    filler: bytes = b'{"access_token":"'
    asked: int = 0
    _issued: dict[str, float] = field(factory=dict, repr=False)

    def accepts(self, token: str) -> bool:
        """Whether `token` was issued here and has not expired."""
        return self._issued.get(token, float("-inf")) > self.now()

    def revoke(self) -> None:
        """No token that was issued is good any longer."""
        self._issued.clear()

    def answer(self, asked: Asked, script: Script) -> Answer:
        found = _PATH.fullmatch(asked.path)
        if asked.method != "POST" or found is None:
            raise Refused(404, "Not found")
        self.asked += 1
        given = {k: v[0] for k, v in parse_qs(asked.body.decode()).items()}
        if found[1] != self.tenant:
            raise _refused(400, "90002", f"Tenant '{found[1]}' not found.")
        if given.get("grant_type") != "client_credentials":
            raise _refused(400, "70003", "The grant type is not supported.")
        if given.get("client_id") != self.client_id:
            raise _refused(400, "700016", "The application was not found.")
        if given.get("client_secret") != self.key:
            raise _refused(401, "7000215", "Invalid client secret provided.")
        if given.get("scope") not in _SCOPES:
            raise _refused(400, "70011", "The scope is not valid.")
        token = f"eyJ-secret-{self.asked:08d}"
        self._issued[token] = self.now() + self.expires_in
        lasting = {"expires_in": self.expires_in, "ext_expires_in": self.expires_in}
        return whole({"token_type": "Bearer", **lasting, "access_token": token})

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        known = code if code in _WORDS else None
        told = {
            "error": _WORDS[known] if known else "temporarily_unavailable",
            "error_description": message,
            "error_codes": [int(known)] if known else [],
            "trace_id": "fake",
            "correlation_id": "fake",
        }
        return dump(told)

    def error_event(self, message: str) -> bytes:
        return self.refusal(503, message)


def _refused(status: int, code: str, message: str) -> Refused:
    return Refused(status, f"AADSTS{code}: {message}", code)
