"""Files in the parts of a request: inline bytes, and names of files elsewhere."""

from __future__ import annotations

import re

from modelplex.events import Audio, Document, FileId, Image, Inline, Source, Url
from modelplex.wire.gemini.members import Members

_STANDARD = str.maketrans("-_", "+/")
_PICTURE = re.compile(r"\.(png|jpe?g|webp|gif|heic|heif)\Z", re.IGNORECASE)
_STORED = re.compile(r"https://generativelanguage\.googleapis\.com/[^?#]*files/")
_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "x-flac": "flac"}


def inline(within: Members) -> Image | Audio | Document:
    """
    The part for an `inlineData` object.

    :raises BadRequest: a member is missing or of the wrong type.
    """
    media_type: str = within.get("mimeType", str) or ""
    content = plain_base64(within.need("data", str))
    kind, _, form = media_type.partition("/")
    if kind == "image":
        return Image(Inline(media_type, content))
    if kind == "audio":
        form = form.partition(";")[0].strip().lower()
        return Audio(content, _FORMATS.get(form, form))
    title = within.get("displayName", str)
    return Document(Inline(media_type, content), title)


def stored(within: Members) -> Image | Document:
    """
    The part for a `fileData` object.

    :raises BadRequest: a member is missing or of the wrong type.
    """
    uri: str = within.need("fileUri", str)
    media_type: str = within.get("mimeType", str) or ""
    source: Source = FileId(uri)
    if uri.startswith(("http://", "https://")) and not _STORED.match(uri):
        source = Url(uri)
    if media_type.startswith("image/") or (not media_type and _PICTURE.search(uri)):
        return Image(source)
    return Document(source, within.get("displayName", str))


def plain_base64(content: str) -> str:
    """`content` in the letters of plain base64, padded and without white space."""
    plain = "".join(content.split()).translate(_STANDARD).rstrip("=")
    return plain + "=" * (-len(plain) % 4)
