"""Where a model's methods are: the part of a URL after the version."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

GENERATE = "generateContent"
STREAM = "streamGenerateContent"
COUNT = "countTokens"
EMBED = "embedContent"
EMBED_BATCH = "batchEmbedContents"

# A tuned or a publisher's model has slashes in its name.
_METHOD = re.compile(r"(?:\A|/)(?:models/(.+)|(tunedModels/.+)):([A-Za-z]+)\Z")


def method_path(model: str, method: str) -> str:
    """
    The path of `method` of `model`, such as ``models/gemini-x:generateContent``.

    :param model: with its collection or without.
    """
    known = model.startswith(("models/", "tunedModels/"))
    return f"{quote(model if known else f'models/{model}', safe='/')}:{method}"


def stream_path(model: str) -> str:
    """The path, query included, that streams as server-sent events."""
    return method_path(model, STREAM) + "?alt=sse"


def split_method(path: str) -> tuple[str, str] | None:
    """
    The model and the method that `path` ends in; ``None`` if it names none.

    :param path: still quoted, with anything in front of the collection.
    """
    found = _METHOD.search(unquote(path))
    if found is None:
        return None
    return found[1] or found[2], found[3]
