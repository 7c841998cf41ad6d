"""Which request targets are refused before any resource is looked up."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from modelplex.errors import BadRequest, GatewayError, UnknownRoute

#: What nearly every request asks for: no escape, nothing that needs a second look.
_PLAIN = re.compile(rb"/[A-Za-z0-9_.~!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9_.&=:-]*)?")
_NOT_PRINTABLE = re.compile(rb"[^\x21-\x7e]|#")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def objection(target: bytes) -> GatewayError | None:
    """
    Why `target` is not a plain path with an optional query, if it is not.

    Absolute and authority forms and ``*`` (RFC 9112 §3.2) are for proxies, which a
    guest must not find here. Dot segments, raw or escaped, are never normalised but
    refused. An escaped slash is part of a model's id (``/v1/models/a%2Fb:c``, as the
    OpenAI SDK sends it) and is refused everywhere else.
    """
    if b"/." not in target and _PLAIN.fullmatch(target):
        return None
    if not target.startswith(b"/"):
        return BadRequest("the request target must be a path")
    if _NOT_PRINTABLE.search(target) or _BROKEN_ESCAPE.search(target):
        return BadRequest("the request target holds bytes that a URL cannot hold")
    path, _, query = target.partition(b"?")
    if b"\0" in unquote_to_bytes(query):
        return BadRequest("the query holds a NUL")
    plain = unquote_to_bytes(path)
    if _CONTROL.search(plain):
        return BadRequest("the path holds control characters")
    try:
        plain.decode()
    except UnicodeDecodeError:
        return BadRequest("the path is not UTF-8")
    if any(segment in (b".", b"..") for segment in plain.split(b"/")):
        return BadRequest("the path holds dot segments")
    before, slash, _ = path.lower().partition(b"%2f")
    if slash and b"/models/" not in before:
        return UnknownRoute("no route has an escaped slash here")
    return None
