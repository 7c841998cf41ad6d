"""
Whose proof a signature of reasoning is, and which part of a message it stands on.

Gemini signs thoughts, texts and function calls; the canonical values have one place,
at the end of a block of reasoning. So Gemini's signatures are marked there, with
what they belong to:

- ``gemini:SIG`` signs the thought itself,
- ``gemini:text:SIG`` signs the text before it,
- ``gemini:callN:SIG`` signs the call number N of the same message.

Guests of every dialect that sends reasoning back bring them back so. The other way
round, what another provider signed or sealed goes to a Gemini guest as the bytes of
a ``thoughtSignature`` that begin with our own mark.

Gemini docs, "Thought signatures": a signature must come back unchanged in the part
that it came with.
"""

from __future__ import annotations

import base64
import binascii
import re

from attrs import frozen

_OURS = "gemini:"
_MARKED = re.compile(r"gemini:(?:(text|call(\d{1,4})):)?([A-Za-z0-9+/=]*)")
_STANDARD = str.maketrans("-_", "+/")
_FOREIGN = b"modelplex:"
_SEALED = b"modelplex-sealed:"

UNCHECKED = "skip_thought_signature_validator"
"""What Gemini takes for a call that it did not make (Gemini docs, "FAQs")."""

UNCHECKED_BYTES = base64.b64encode(UNCHECKED.encode()).decode()
"""The same for SDKs, which take every signature for bytes and write it so."""

_WORDS = (UNCHECKED, "context_engineering_is_the_way_to_go")
_UNCHECKED = frozenset(word.translate(_STANDARD) for word in _WORDS) | frozenset(
    base64.b64encode(word.encode()).decode().rstrip("=") for word in _WORDS
)


@frozen
class Signature:
    """
    A signature of Gemini's own.

    :ivar wire: base64.
    :ivar text: it signs the text before it.
    :ivar call: the number of the call that it signs.
    """

    wire: str
    text: bool = False
    call: int | None = None

    def marked(self) -> str:
        """The canonical signature."""
        if self.call is not None:
            return f"{_OURS}call{self.call}:{self.wire}"
        return f"{_OURS}text:{self.wire}" if self.text else _OURS + self.wire


def own(signature: str | None) -> Signature | None:
    """What the canonical `signature` is if it is Gemini's own."""
    if not signature or not signature.startswith(_OURS):
        return None
    found = _MARKED.fullmatch(signature)
    if found is None or not found[3]:
        return None
    call = int(found[2]) if found[2] else None
    return Signature(found[3], found[1] == "text", call)


def standard(wire: str) -> str | None:
    """
    A ``thoughtSignature`` in the letters of plain base64; ``None`` for no proof.

    Google's Python SDK keeps bytes and writes them in the letters for URLs.
    """
    plain = wire.translate(_STANDARD).rstrip("=")
    if not plain or plain in _UNCHECKED:
        return None
    return plain + "=" * (-len(plain) % 4)


def wrap(signature: str) -> str:
    """The ``thoughtSignature`` for what another provider signed with."""
    return base64.b64encode(_FOREIGN + signature.encode()).decode()


def seal(content: str) -> str:
    """The ``thoughtSignature`` for reasoning that only its provider can read."""
    return base64.b64encode(_SEALED + content.encode()).decode()


def unwrap(wire: str) -> tuple[str | None, str | None]:
    """
    What a standard `wire` holds of another provider: its signature, its sealed text.

    Both are ``None`` for a signature of Gemini's.
    """
    if not wire.startswith("bW9kZWxwbGV4"):  # "modelplex" in base64
        return None, None
    try:
        bare = base64.b64decode(wire, validate=True)
        if bare.startswith(_FOREIGN):
            return bare[len(_FOREIGN) :].decode(), None
        if bare.startswith(_SEALED):
            return None, bare[len(_SEALED) :].decode()
    except (binascii.Error, ValueError):
        pass
    return None, None
