"""Tokens that a client keeps for us and cannot alter: pure."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from attrs import frozen

from modelplex.wire.canonicaljson import canonical

LONGEST = 1024  # characters of a token
_LEFT_OUT = ("_meta", "inputResponses", "requestState")


@frozen
class Seal:
    """
    What a token says.

    :ivar park: the call that waits.
    :ivar round: how often it has asked.
    :ivar until: on our clock; it is worth nothing after that.
    """

    park: str
    round: int
    until: float


def digest(params: Mapping[str, Any]) -> bytes:
    """What is the same for all rounds of one request."""
    same = {key: value for key, value in params.items() if key not in _LEFT_OUT}
    return sha256(canonical(same)).digest()


def sealed(seal: Seal, bound: bytes, key: bytes) -> str:
    """`seal` as a token, which is good only where it is opened with `bound`."""
    told = json.dumps([seal.park, seal.round, seal.until]).encode()
    return f"{_text(told)}.{_text(_mac(told, bound, key))}"


def opened(token: object, bound: bytes, key: bytes) -> Seal | None:
    """What `token` says, or ``None`` when it is not one of ours for `bound`."""
    if not isinstance(token, str) or len(token) > LONGEST or not token.isascii():
        return None
    said, dot, mac = token.partition(".")
    try:
        told, given = _bytes(said), _bytes(mac)
    except (Error, ValueError):
        return None
    if not dot or not hmac.compare_digest(given, _mac(told, bound, key)):
        return None
    return Seal(*json.loads(told))


def _mac(told: bytes, bound: bytes, key: bytes) -> bytes:
    size = len(told).to_bytes(4, "big")
    return hmac.new(key, size + told + bound, sha256).digest()


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    value = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(value) != text:
        raise ValueError("there is another way to write this")
    return value
