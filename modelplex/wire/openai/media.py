"""Data URLs and base64 in a guest's request: cleaned, checked, their type found."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote, unquote_to_bytes

from modelplex.events import Inline, Source, Url
from modelplex.wire.media import media_type_of
from modelplex.wire.openai.fields import Field

_SPACE = re.compile(r"\s+")
_URL_SAFE = str.maketrans("-_", "+/")
_WEB = re.compile(r"https?://[^\s\x00-\x20]+", re.IGNORECASE)


def source(field: Field, kind: str) -> Source:
    """
    What a URL field names: inline bytes or an address.

    :param kind: what the media type must start with, such as ``image/``.
    """
    url = field.text().strip()
    if url[:5].lower() == "data:":
        return inline(field, kind)
    if not _WEB.fullmatch(url):
        field.wrong("neither a data: URL nor an http(s) address")
    return Url(url)


def inline(field: Field, kind: str = "") -> Inline:
    """
    The bytes in a ``data:`` URL (RFC 2397), or in plain base64.

    A missing media type is found from the first bytes.
    """
    text = field.text().strip()
    media_type, content = "", text
    if text[:5].lower() == "data:":
        head, comma, content = text[5:].partition(",")
        if not comma:
            field.wrong("a data: URL has a comma before its content")
        media_type, *parameters = (w.strip().lower() for w in head.split(";"))
        if "base64" not in parameters:
            octets = unquote_to_bytes(content)
            content = base64.b64encode(octets).decode()
        elif "%" in content:
            content = unquote(content)
    content = check_base64(field, content)
    if not media_type.startswith(kind) or not media_type:
        media_type = media_type_of(binascii.a2b_base64(content[:64])) or media_type
    if not media_type:
        field.wrong("says no media type, and its bytes do not tell")
    if not media_type.startswith(kind):
        field.wrong(f"{kind}* is expected and not {media_type[:60]}")
    return Inline(media_type, content)


def check_base64(field: Field, content: str) -> str:
    """`content` in the standard alphabet, padded and without white space."""
    content = _SPACE.sub("", content).translate(_URL_SAFE)
    content += "=" * (-len(content) % 4)
    try:
        known = binascii.a2b_base64(content, strict_mode=True)
    except ValueError:  # also what is not ASCII
        field.wrong("invalid base64")
    if not known:
        field.wrong("is empty")
    return content
