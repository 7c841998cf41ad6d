"""In which dialect a guest is told what it can be told without a route."""

from __future__ import annotations

from urllib.parse import unquote

from modelplex.surface.paths import route
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT


def dialect_of(path: bytes) -> Dialect:
    """The dialect of whoever asks for `path`; OpenAI's when it says nothing."""
    meant = route(unquote(path.decode("latin-1"))).path
    if meant.startswith("/v1/messages"):
        return ANTHROPIC
    if meant.startswith("/v1beta/"):
        return GEMINI
    if meant.startswith("/api/"):
        return OLLAMA
    return OPENAI_CHAT
