"""OpenAI's token counts, both ways. All details are optional everywhere."""

from __future__ import annotations

import msgspec

from modelplex.events import JSON, Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class UsageShape(msgspec.Struct):
    """The ``usage`` member of a reply or of a stream's last chunk."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


def usage_of(shape: UsageShape) -> Usage:
    """OpenAI counts as we do: cached within the prompt, reasoning within the rest."""
    prompt = shape.prompt_tokens_details or _PromptDetails()
    completion = shape.completion_tokens_details or _CompletionDetails()
    return Usage(
        input_tokens=shape.prompt_tokens or 0,
        output_tokens=shape.completion_tokens or 0,
        cached_tokens=prompt.cached_tokens or 0,
        cache_write_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
    )


def usage_json(usage: Usage) -> JSON:
    """The ``usage`` member for a guest."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
