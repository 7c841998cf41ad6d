"""
Which route a path means: pure.

Clients put a version, two or none before a path, depending on how their base URL was
written, and Azure's put the model there. Each route has one path of ours; what else
people really send for it is listed here, and nothing else is understood.
"""

from __future__ import annotations

import re

from attrs import frozen

# What may stand before OpenAI's, Anthropic's and Gemini's own paths: vendors' and
# gateways' usual prefixes, and a version that was written twice or left out.
_BEFORE = re.compile(
    r"(?:/openai/deployments/(?P<deployment>[^/]+)"
    r"|(?:/openai|/anthropic|/api(?=/v1/))?(?P<version>(?:/v1(?:alpha|beta1?)?)*))"
    r"(?:/openai)?(?P<rest>/.*)"
)
_VERSIONED = frozenset(
    {
        *("audio", "chat", "completions", "embeddings", "files", "images"),
        *("messages", "models", "moderations", "responses"),
    }
)
# Only Gemini's calls have a method after the model; Ollama's tags follow a colon too.
#: What may be a form, which is passed on while it arrives.
FORMS = frozenset(
    {
        *("/v1/images/edits", "/v1/images/variations", "/v1/files"),
        *("/v1/audio/transcriptions", "/v1/audio/translations"),
    }
)
_METHODS = re.compile(
    r"/(?:models|tunedModels)/.+:(?:generateContent|streamGenerateContent|countTokens"
    r"|embedContent|batchEmbedContents)"
)


@frozen
class Route:
    """
    What a path means.

    :ivar path: ours, with one version before it.
    :ivar deployment: the model, where the path names one as Azure's do.
    """

    path: str
    deployment: str = ""


def route(path: str) -> Route:
    """
    The route that `path` means; itself, when it is none of the known variants.

    :param path: unquoted.
    """
    if path.startswith("/v1/") and not path.startswith(("/v1/v1", "/v1//")):
        first = path[4:].partition("/")[0]
        if first in _VERSIONED and not (first == "models" and _METHODS.search(path)):
            return Route(path)
    while "//" in path:
        path = path.replace("//", "/")
    found = _BEFORE.fullmatch(path)
    if found is None:
        return Route(path)
    rest, version = found["rest"], found["version"] or ""
    if _METHODS.fullmatch(rest):
        return Route("/v1beta" + rest)
    if rest.split("/")[1] in _VERSIONED:
        gemini = "beta" in version or "alpha" in version
        asked_as_gemini = gemini and rest.startswith("/models")
        return Route(
            ("/v1beta" if asked_as_gemini else "/v1") + rest, found["deployment"] or ""
        )
    return Route(path)
