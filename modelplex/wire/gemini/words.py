"""Words of the Gemini API that are read in one direction and written in the other."""

from __future__ import annotations

import msgspec

from modelplex.errors import GatewayError, UpstreamError
from modelplex.events import Finished, FinishReason, Usage

# --- why the model stopped --------------------------------------------------

_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
}
_REFUSED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "LANGUAGE",
        "MODEL_ARMOR",
        "JAILBREAK",
    }
)
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "OTHER",
        "NO_IMAGE",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
    }
)
_WORDS = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_WINDOW: "MAX_TOKENS",
    FinishReason.REFUSAL: "SAFETY",
}


def finished(
    word: str, message: str | None, *, called: bool, answered: bool
) -> Finished:
    """
    What the finish reason `word` means; one not known yet is a plain stop.

    :param called: there was a tool call, for which Gemini has no word of its own.
    :param answered: anything of an answer was seen.
    :raises GatewayError: the model failed and there is no answer.
    """
    if word in _BROKEN and not answered:
        raise _broken(word, message)
    if word in _REFUSED or word.startswith("IMAGE_"):
        return Finished(FinishReason.REFUSAL, explanation=message or word)
    reason = _REASONS.get(word, FinishReason.STOP)
    if called and reason is FinishReason.STOP:
        reason = FinishReason.TOOL_CALLS
    told = message or (word if word in _BROKEN else None)
    return Finished(reason, explanation=told)


def _broken(word: str, message: str | None) -> GatewayError:
    said = f": {message[:500]}" if message else ""
    return UpstreamError(f"the model gave no answer ({word}){said}")


def blocked(word: str, message: str | None) -> Finished:
    """What it means that the prompt was blocked, which comes with a success."""
    told = message or f"the prompt was blocked: {word}"
    return Finished(FinishReason.REFUSAL, explanation=told)


def finish_word(reason: FinishReason) -> str:
    """The word for `reason`; there is none for tool calls."""
    return _WORDS.get(reason, "STOP")


# --- usage ------------------------------------------------------------------

_MOST = 2**53  # what every client's numbers can hold


class WireUsage(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """`usageMetadata`: the prompt with what is cached, the answer without thoughts."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    total_token_count: int | None = None
    cached_content_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None

    def canonical(self) -> Usage:
        """The same counts as OpenAI counts."""
        thoughts = _count(self.thoughts_token_count)
        return Usage(
            input_tokens=_count(self.prompt_token_count)
            + _count(self.tool_use_prompt_token_count),
            output_tokens=_count(self.candidates_token_count) + thoughts,
            cached_tokens=_count(self.cached_content_token_count),
            reasoning_tokens=thoughts,
        )


def _count(given: int | None) -> int:
    return min(max(given or 0, 0), _MOST)


def wire_usage(usage: Usage) -> WireUsage:
    """`usage` as Gemini counts; the counts that every SDK reads are present."""
    return WireUsage(
        usage.input_tokens,
        max(0, usage.output_tokens - usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
        usage.cached_tokens or None,
        usage.reasoning_tokens or None,
    )
