"""
Tool calls as Ollama has them: arguments are an object, and ids may be missing.

Canonical arguments are JSON text, so an object's text is kept as it was written,
numbers and order included, with only the white space taken out.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from modelplex.wire.typed import compact

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def as_object(arguments: str) -> msgspec.Raw:
    """
    What a model wrote as arguments, as the object that Ollama wants.

    Nothing at all and ``null`` are ``{}``; anything else that is no object is kept
    as ``{"_raw": text}``, so that neither the call nor what it said is lost.
    """
    text = arguments.encode("utf-8", "replace").strip()
    if text in (b"", b"null", b"{}"):
        return msgspec.Raw(b"{}")
    try:
        _OBJECT.decode(text)
        return msgspec.Raw(compact(text).encode())
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"_raw": text.decode()}))


def made_up_id(*witness: bytes) -> str:
    """
    An id for a call that has none: the same for the same `witness`, in any process.

    A witness that holds a time or a place in the conversation gives the calls of
    different turns different ids.
    """
    return "call_" + sha256(b"\0".join(witness)).hexdigest()[:24]
