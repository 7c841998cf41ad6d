"""Signatures that only their own issuer takes back, for what an API encrypts."""

from __future__ import annotations

import base64
import binascii
import hmac
import os

from attrs import define, field

_SIZE = 64  # bytes of a digest


@define(eq=False)
class Seals:
    """
    Seals content, and tells whether a seal is its own and on the same content.

    Two of them never take each other's, as two accounts or routes never do. A seal is
    in the standard alphabet of base64 and takes the URL-safe one back, because
    Google's SDK writes that.
    """

    _secret: bytes = field(factory=lambda: os.urandom(16), repr=False)

    def seal(self, *content: str) -> str:
        """A seal on `content`."""
        return base64.b64encode(self._digest(content)).decode()

    def holds(self, seal: object, *content: str) -> bool:
        """Whether `seal` is what `seal` has given for `content`."""
        return hmac.compare_digest(unsealed(seal), self._digest(content))

    def lock(self, content: str) -> str:
        """`content` in a form that only `unlock` reads."""
        locked = self._digest((content,)) + content.encode()[::-1]
        return base64.b64encode(locked).decode()

    def unlock(self, locked: object) -> str | None:
        """The content of `locked`; none if another has locked it."""
        decoded = unsealed(locked)
        content = decoded[_SIZE:][::-1].decode(errors="replace")
        own = hmac.compare_digest(decoded[:_SIZE], self._digest((content,)))
        return content if own else None

    def _digest(self, content: tuple[str, ...]) -> bytes:
        joined = "\0".join(content).encode()
        return hmac.new(self._secret, joined, "sha512").digest()


def unsealed(seal: object) -> bytes:
    """The bytes of a seal in either alphabet; none at all if it is no base64."""
    if not isinstance(seal, str):
        return b""
    try:
        return base64.b64decode(seal.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""
