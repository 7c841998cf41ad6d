"""Words of the Messages API that are read in one direction and written in the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from modelplex.events import JSON, FinishReason, Usage

# --- why the model stopped --------------------------------------------------

_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.CONTEXT_WINDOW,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
}
_STOP_REASONS = {reason: word for word, reason in _REASONS.items()}


def finish_reason(stop_reason: str | None) -> FinishReason:
    """What `stop_reason` means; a word not known yet is a plain stop."""
    return _REASONS.get(stop_reason or "", FinishReason.STOP)


def stop_reason(reason: FinishReason, called: bool) -> str:
    """The word for `reason`; after a tool call a plain stop is ``tool_use``."""
    if called and reason is FinishReason.STOP:
        reason = FinishReason.TOOL_CALLS
    return _STOP_REASONS[reason]


# --- usage ------------------------------------------------------------------


class _Details(msgspec.Struct):
    thinking_tokens: int | None = None


class WireUsage(msgspec.Struct, omit_defaults=True):
    """`usage` as it is written: `input_tokens` counts no cached ones."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _Details | None = None

    def updated(self, later: WireUsage) -> WireUsage:
        """These counts with those that `later`, cumulative as they are, replaces."""
        return WireUsage(
            *(
                old if new is None else new
                for old, new in zip(
                    msgspec.structs.astuple(self),
                    msgspec.structs.astuple(later),
                    strict=True,
                )
            )
        )

    def canonical(self) -> Usage:
        """The same counts as OpenAI counts."""
        cached = self.cache_read_input_tokens or 0
        written = self.cache_creation_input_tokens or 0
        details = self.output_tokens_details
        return Usage(
            input_tokens=(self.input_tokens or 0) + cached + written,
            output_tokens=self.output_tokens or 0,
            cached_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=(details.thinking_tokens or 0) if details else 0,
        )


def wire_usage(usage: Usage) -> WireUsage:
    """`usage` as Anthropic counts; every count that SDKs read is present."""
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    return WireUsage(
        max(0, plain),
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        _Details(usage.reasoning_tokens) if usage.reasoning_tokens else None,
    )


# --- reasoning and citations ------------------------------------------------

_OWN = "modelplex:"


def own_signature(text: str) -> str:
    """
    The signature of a thinking block whose provider gave none.

    SDKs and agents want one and send it back; `is_own_signature` knows it again.
    """
    return _OWN + hashlib.sha256(text.encode()).hexdigest()[:16]


def is_own_signature(signature: str) -> bool:
    """Whether `signature` proves nothing to any provider."""
    return signature.startswith(_OWN)


def is_foreign(proof: str) -> bool:
    """
    Whether a signature, or redacted thinking, is nothing that Anthropic's API wrote.

    Those are base64 and have no colon; what is ours and what other providers' reasoning
    became on its way to a guest begins with a word and one.
    """
    return ":" in proof


_LOCATIONS = frozenset(
    {
        "char_location",
        "page_location",
        "content_block_location",
        "search_result_location",
        "web_search_result_location",
    }
)


def is_citation(citation: JSON) -> bool:
    """Whether `citation`, in its provider's own shape, is in Anthropic's."""
    return isinstance(citation, Mapping) and citation.get("type") in _LOCATIONS
