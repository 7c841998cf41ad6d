"""The response object around the items, and what of a request it repeats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from modelplex.events import JSON, FinishReason
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import JsonObject

# What an answer says about settings that the request left open.
_SETTINGS: Mapping[str, JSON] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_LONGEST_ID = 40  # characters; the ids of items are longer, and may have 64

INCOMPLETE = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTEXT_WINDOW: "max_output_tokens",
    FinishReason.REFUSAL: "content_filter",
}
"""Why a response is not complete; every other reason makes it complete."""


def echoed(body: JsonObject) -> Mapping[str, msgspec.Raw]:
    """The settings of a request that its response repeats, as they were written."""
    found: dict[str, msgspec.Raw] = {}
    for key in _SETTINGS:
        raw = body.raw(key)
        if raw is not None and raw != b"null":
            found[key] = msgspec.Raw(raw)
    return found


def own_part(id: str) -> str:
    """`id` without its prefix, and never too long to be part of another id."""
    own = id.removeprefix("resp_")
    if len(own) <= _LONGEST_ID:
        return own
    return hashlib.sha256(own.encode()).hexdigest()[:32]


def response(id: str, answering: Answering, status: str) -> dict[str, Any]:
    """A response without output; its settings are those that `answering` repeats."""
    return {
        "id": id,
        "object": "response",
        "created_at": answering.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": answering.model,
        "output": [],
        "usage": None,
        **_SETTINGS,
        **answering.echo,
    }
