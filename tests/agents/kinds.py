"""The APIs that the scripted model is asked by, and how each is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses

KEY = "sk-secret-0123456789"
"""The operator's, which only the upstream may see."""

MODEL = "fast"
"""As the agents know it; the upstream knows it by another name."""

_TARGET = "target"
_THINKING = ("enabled", "adaptive", "disabled")

# For the key that they accept.
SPEAKERS: dict[str, Callable[[str], Any]] = {
    "anthropic": lambda key: Anthropic((_TARGET,), key, _THINKING),
    "openai": lambda key: OpenAI((_TARGET,), key),
    "responses": lambda key: Responses((_TARGET,), key),
    "gemini": lambda key: Gemini((_TARGET,), key),
    "ollama": lambda key: Ollama((_TARGET,), key),
}


def provider(kind: str, url: str, models: Iterable[str]) -> str:
    """The configuration of a provider of that kind; its key is ``${KEY}``."""
    names = ", ".join(f'"{model}" = "{_TARGET}"' for model in models)
    type, more = kind, ""
    if kind == "responses":
        type, more = "openai", 'api = "responses"\n'
    return (
        f'[[providers]]\nname = "p"\ntype = "{type}"\n{more}'
        f'base_url = "{url}"\napi_key = "${{KEY}}"\n'
        f"models = {{ {names} }}\n"
    )
