"""What a bare base64 string in ``images`` is: Ollama names no media type."""

from __future__ import annotations

import re
from binascii import a2b_base64

from modelplex.errors import BadRequest
from modelplex.events import Audio, Image, Inline
from modelplex.wire.media import media_type_of

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def sniff(text: str, where: str) -> Image | Audio:
    """
    The picture or sound that base64 `text` holds, told by its first bytes.

    :param where: how an error calls it.
    :raises BadRequest: it is no base64, or nothing that is known.
    """
    content = "".join(text.split())  # Go's decoder skips line ends
    if len(content) % 4 or not _BASE64.fullmatch(content):
        raise BadRequest(f"{where}: base64 is expected", param=where)
    media_type = media_type_of(a2b_base64(content[:64])) or ""
    kind, _, format = media_type.partition("/")
    if kind == "image":
        return Image(Inline(media_type, content))
    if kind == "audio":
        return Audio(content, format)
    raise BadRequest(f"{where}: neither a picture nor a sound", param=where)
