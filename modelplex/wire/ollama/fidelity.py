"""What a request of another dialect loses at Ollama."""

from __future__ import annotations

from collections.abc import Mapping

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

_INLINE_ONLY = "inline base64 only"

_SHARED: Mapping[Feature, Verdict] = {
    Feature.MESSAGE_NAME: dropped(),
    Feature.IMAGE: adapted("stands beside the text, in images"),
    Feature.IMAGE_URL: refused(_INLINE_ONLY),
    Feature.IMAGE_DETAIL: dropped(),
    Feature.AUDIO: adapted("in images, for models that hear"),
    Feature.DOCUMENT: refused("text documents are taken, as text of the message"),
    Feature.DOCUMENT_TITLE: adapted("the first line of the text"),
    Feature.DOCUMENT_URL: refused(_INLINE_ONLY),
    Feature.FILE_ID: refused(_INLINE_ONLY),
    Feature.STRICT_TOOLS: dropped(),
    Feature.PARALLEL_TOOL_CALLS: dropped(),
    Feature.JSON_OBJECT: Verdict(Fate.CARRIED, "as format"),
    Feature.JSON_SCHEMA: Verdict(
        Fate.CARRIED, "as format, without its name and description"
    ),
    Feature.THINKING_SIGNATURE: dropped(),
    Feature.REDACTED_THINKING: dropped(),
    Feature.REASONING_EFFORT: adapted(
        "think: none is false, minimal is low, xhigh is max"
    ),
    Feature.THINKING_BUDGET: adapted("think is true or false, without a budget"),
    Feature.MAX_TOKENS: Verdict(Fate.CARRIED, "as options.num_predict"),
    Feature.TEMPERATURE: CARRIED,
    Feature.TOP_P: CARRIED,
    Feature.TOP_K: CARRIED,
    Feature.MIN_P: CARRIED,
    Feature.STOP: CARRIED,
    Feature.SEVERAL_CHOICES: refused("one answer only"),
    Feature.SEED: CARRIED,
    Feature.PRESENCE_PENALTY: CARRIED,
    Feature.FREQUENCY_PENALTY: CARRIED,
    Feature.LOGPROBS: CARRIED,
    Feature.AUDIO_OUTPUT: refused("text only"),
    Feature.USER: dropped(),
    Feature.CACHE_MARK: dropped(),
    Feature.CITATIONS: dropped(),
    Feature.OTHER_FIELDS: dropped(
        "except keep_alive, truncate, shift, options and what stands in options"
    ),
}

CHAT = Fidelity(
    "Ollama chat",
    {
        **_SHARED,
        Feature.SYSTEM_IN_PLACE: CARRIED,
        Feature.TOOLS: adapted(
            "the server keeps type, description, enum, items, properties, required "
            "and anyOf of a schema"
        ),
        Feature.CUSTOM_TOOLS: adapted("a function of one string"),
        Feature.TOOL_ERROR: adapted("the result starts with Error:"),
        Feature.TOOL_RESULT_IMAGE: adapted("stands beside the text, in images"),
        Feature.TOOL_CHOICE_NONE: adapted("the tools are left out"),
        Feature.TOOL_CHOICE_REQUIRED: adapted("asked for in a system message"),
        Feature.TOOL_CHOICE_NAMED: adapted(
            "the other tools are left out; if one is required, asked for in a "
            "system message"
        ),
        Feature.THINKING_BLOCKS: CARRIED,
        Feature.SUFFIX: refused("completions have it, at /api/generate"),
    },
)

_ONE_PROMPT = "one prompt only"

GENERATE = Fidelity(
    "Ollama generate",
    {
        **_SHARED,
        Feature.SYSTEM_IN_PLACE: refused(_ONE_PROMPT),
        Feature.TOOLS: refused(),
        Feature.CUSTOM_TOOLS: refused(),
        Feature.STRICT_TOOLS: refused(),
        Feature.TOOL_ERROR: refused(_ONE_PROMPT),
        Feature.TOOL_RESULT_IMAGE: refused(_ONE_PROMPT),
        Feature.TOOL_CHOICE_NONE: adapted("there are no tools"),
        Feature.TOOL_CHOICE_REQUIRED: refused(),
        Feature.TOOL_CHOICE_NAMED: refused(),
        Feature.THINKING_BLOCKS: refused(_ONE_PROMPT),
        Feature.THINKING_SIGNATURE: refused(_ONE_PROMPT),
        Feature.REDACTED_THINKING: refused(_ONE_PROMPT),
        Feature.SUFFIX: CARRIED,
    },
)
