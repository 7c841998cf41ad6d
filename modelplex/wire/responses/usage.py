"""Token counts of a response, both ways. All details are optional everywhere."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.events import JSON, Usage


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Shape(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def usage_of(said: Any) -> Usage | None:
    """
    The ``usage`` member of a response.

    Counts that are no counts are not worth an error: they are ``None``.
    """
    if said is None:
        return None
    try:
        shape = msgspec.convert(said, _Shape)
    except msgspec.ValidationError:
        return None
    taken = shape.input_tokens_details or _InputDetails()
    given = shape.output_tokens_details or _OutputDetails()
    return Usage(
        input_tokens=shape.input_tokens or 0,
        output_tokens=shape.output_tokens or 0,
        cached_tokens=taken.cached_tokens or 0,
        cache_write_tokens=taken.cache_write_tokens or 0,
        reasoning_tokens=given.reasoning_tokens or 0,
    )


def usage_json(usage: Usage) -> JSON:
    """The ``usage`` member for a guest."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
