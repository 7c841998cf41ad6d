"""What a request of another dialect loses when it is written as a Responses one."""

from __future__ import annotations

from modelplex.wire.fidelity import (
    CARRIED,
    Fate,
    Feature,
    Fidelity,
    Verdict,
    adapted,
    dropped,
    refused,
)

_OWN = Verdict(Fate.CARRIED, "its own encrypted_content; others are dropped")

FIDELITY = Fidelity(
    "OpenAI Responses",
    {
        Feature.SYSTEM_IN_PLACE: adapted("role developer"),
        Feature.MESSAGE_NAME: dropped(),
        Feature.IMAGE: CARRIED,
        Feature.IMAGE_URL: CARRIED,
        Feature.IMAGE_DETAIL: CARRIED,
        Feature.AUDIO: CARRIED,
        Feature.DOCUMENT: adapted("a text document becomes a text part"),
        Feature.DOCUMENT_TITLE: Verdict(Fate.CARRIED, "of files that are sent inline"),
        Feature.DOCUMENT_URL: CARRIED,
        Feature.FILE_ID: refused("the id belongs to another provider's store"),
        Feature.TOOLS: CARRIED,
        Feature.CUSTOM_TOOLS: CARRIED,
        Feature.STRICT_TOOLS: CARRIED,
        Feature.TOOL_ERROR: adapted("the output starts with “Error: ”"),
        Feature.TOOL_RESULT_IMAGE: CARRIED,
        Feature.TOOL_CHOICE_NONE: CARRIED,
        Feature.TOOL_CHOICE_REQUIRED: CARRIED,
        Feature.TOOL_CHOICE_NAMED: CARRIED,
        Feature.PARALLEL_TOOL_CALLS: CARRIED,
        Feature.JSON_OBJECT: CARRIED,
        Feature.JSON_SCHEMA: CARRIED,
        Feature.THINKING_BLOCKS: dropped("unless it came with encrypted_content"),
        Feature.THINKING_SIGNATURE: _OWN,
        Feature.REDACTED_THINKING: _OWN,
        Feature.REASONING_EFFORT: CARRIED,
        Feature.THINKING_BUDGET: adapted("the nearest reasoning.effort"),
        Feature.MAX_TOKENS: adapted("at least 16"),
        Feature.TEMPERATURE: CARRIED,
        Feature.TOP_P: CARRIED,
        Feature.TOP_K: dropped(),
        Feature.MIN_P: dropped(),
        Feature.STOP: refused("it has no stop sequences"),
        Feature.SEVERAL_CHOICES: refused("it gives one answer"),
        Feature.SEED: dropped(),
        Feature.PRESENCE_PENALTY: dropped(),
        Feature.FREQUENCY_PENALTY: dropped(),
        Feature.LOGPROBS: CARRIED,
        Feature.AUDIO_OUTPUT: refused("a translated answer has no sound"),
        Feature.USER: adapted("over 64 characters: their SHA-256"),
        Feature.SUFFIX: refused("it has no gap to fill"),
        Feature.CACHE_MARK: dropped("OpenAI caches by itself"),
        Feature.CITATIONS: dropped(),
        Feature.OTHER_FIELDS: dropped(
            "except metadata, service_tier, prompt_cache_key, "
            "prompt_cache_retention, verbosity, truncation and max_tool_calls"
        ),
    },
    proves=True,
)
