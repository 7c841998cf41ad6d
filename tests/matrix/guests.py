"""The SDKs of the matrix."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.responses.dialect import RESPONSES
from tests.matrix.asking import Guest
from tests.matrix.sdk_anthropic import AnthropicMessages
from tests.matrix.sdk_gemini import GoogleGenai
from tests.matrix.sdk_ollama import OllamaChat
from tests.matrix.sdk_openai import OpenAIChat
from tests.matrix.sdk_responses import OpenAIResponses


@frozen
class Row:
    """An SDK; `make` gives one for the path of a socket."""

    name: str
    dialect: Dialect
    make: Callable[[str], Guest]


GUESTS = (
    Row("openai", OPENAI_CHAT, OpenAIChat),
    Row("responses", RESPONSES, OpenAIResponses),
    Row("anthropic", ANTHROPIC, AnthropicMessages),
    Row("gemini", GEMINI, GoogleGenai),
    Row("ollama", OLLAMA, OllamaChat),
)
