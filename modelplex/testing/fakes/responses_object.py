"""The response object of a fake Responses API, before and after its answer."""

from __future__ import annotations

from typing import Any

from modelplex.testing.fakes.openai import CREATED_AT
from modelplex.testing.fakes.responses_items import Item
from modelplex.testing.fakes.script import Spoken

CUT_SHORT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def begun(id: str, body: Any) -> dict[str, Any]:
    """A response that has only begun, with the settings it was asked with."""
    reasoning = {"effort": None, "summary": None, **(body.get("reasoning") or {})}
    return {
        "id": id,
        "object": "response",
        "created_at": CREATED_AT,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": reasoning,
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": body.get("metadata") or {},
    }


def ended(spoken: Spoken, output: list[Item]) -> dict[str, Any]:
    """What such a response has instead once it is whole."""
    reason = CUT_SHORT.get(spoken.ending)
    status = "completed" if reason is None else "incomplete"
    why = None if reason is None else {"reason": reason}
    told = {"status": status, "incomplete_details": why, "output": output}
    return {**told, "usage": usage(spoken)}


def usage(spoken: Spoken) -> dict[str, Any]:
    """The count of tokens."""
    cached = {"cached_tokens": spoken.cached_tokens, "cache_write_tokens": 0}
    return {
        "input_tokens": spoken.input_tokens,
        "input_tokens_details": cached,
        "output_tokens": spoken.output_tokens,
        "output_tokens_details": {"reasoning_tokens": spoken.thinking_tokens},
        "total_tokens": spoken.input_tokens + spoken.output_tokens,
    }
