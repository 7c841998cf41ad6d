"""The vendors that ``modelplex init`` knows by the variables of their keys."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen


@frozen
class Vendor:
    """
    A provider that is worth a section when its variable is set.

    :ivar models: globs of families, not names: names change monthly.
    """

    variable: str
    name: str
    type: str
    base_url: str
    models: tuple[str, ...]
    priority: int = 1


VENDORS = (
    Vendor(
        "OPENAI_API_KEY",
        "openai",
        "openai",
        "https://api.openai.com/v1",
        ("gpt-*", "chatgpt-*", "o*", "text-embedding-*"),
    ),
    Vendor(
        "ANTHROPIC_API_KEY",
        "anthropic",
        "anthropic",
        "https://api.anthropic.com/v1",
        ("claude-*",),
    ),
    *(
        # The first that is set; Google's own SDK takes them in this order.
        Vendor(
            variable,
            "gemini",
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta",
            ("gemini-*", "gemma-*"),
        )
        for variable in ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    ),
    Vendor(
        "MISTRAL_API_KEY",
        "mistral",
        "openai",
        "https://api.mistral.ai/v1",
        ("*stral-*",),
    ),
    Vendor(
        "DEEPSEEK_API_KEY",
        "deepseek",
        "openai",
        "https://api.deepseek.com/v1",
        ("deepseek-*",),
    ),
    Vendor("XAI_API_KEY", "xai", "openai", "https://api.x.ai/v1", ("grok-*",)),
    Vendor(
        "GROQ_API_KEY", "groq", "openai", "https://api.groq.com/openai/v1", ("*",), 2
    ),
    Vendor(
        "OPENROUTER_API_KEY",
        "openrouter",
        "openai",
        "https://openrouter.ai/api/v1",
        ("*/*",),
        2,
    ),
)


def found_in(environ: Mapping[str, str]) -> list[Vendor]:
    """Every vendor with a variable that is set; the first of them for each."""
    found: dict[str, Vendor] = {}
    for vendor in VENDORS:
        if environ.get(vendor.variable):
            found.setdefault(vendor.name, vendor)
    return list(found.values())
