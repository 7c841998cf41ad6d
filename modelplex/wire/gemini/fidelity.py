"""What a request of another dialect loses on its way to the Gemini API."""

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

_AS_MODEL = "a level, or a budget for Gemini 2.5; dropped for older models"

FIDELITY = Fidelity(
    "Gemini",
    {
        Feature.SYSTEM_IN_PLACE: adapted("a text of the user that begins [system]:"),
        Feature.MESSAGE_NAME: dropped(),
        Feature.IMAGE: CARRIED,
        Feature.IMAGE_URL: adapted("fileData, which newer models fetch"),
        Feature.IMAGE_DETAIL: dropped(),
        Feature.AUDIO: CARRIED,
        Feature.DOCUMENT: CARRIED,
        Feature.DOCUMENT_TITLE: dropped(),
        Feature.DOCUMENT_URL: adapted("fileData, which newer models fetch"),
        Feature.FILE_ID: refused("the file is in another provider's store"),
        Feature.TOOLS: CARRIED,
        Feature.CUSTOM_TOOLS: adapted("a function of one string"),
        Feature.STRICT_TOOLS: dropped(),
        Feature.TOOL_ERROR: CARRIED,
        Feature.TOOL_RESULT_IMAGE: adapted(
            "inside the result; beside it before Gemini 3"
        ),
        Feature.TOOL_CHOICE_NONE: CARRIED,
        Feature.TOOL_CHOICE_REQUIRED: CARRIED,
        Feature.TOOL_CHOICE_NAMED: CARRIED,
        Feature.PARALLEL_TOOL_CALLS: dropped(),
        Feature.JSON_OBJECT: adapted("an instruction beside tools before Gemini 3"),
        Feature.JSON_SCHEMA: adapted(
            "its subset of JSON Schema; an instruction beside tools before Gemini 3"
        ),
        Feature.THINKING_BLOCKS: dropped("unless signed by Gemini"),
        Feature.THINKING_SIGNATURE: Verdict(
            Fate.CARRIED, "Gemini's own; others are dropped"
        ),
        Feature.REDACTED_THINKING: dropped("only its own provider can read it"),
        Feature.REASONING_EFFORT: adapted(_AS_MODEL),
        Feature.THINKING_BUDGET: adapted(_AS_MODEL),
        Feature.MAX_TOKENS: CARRIED,
        Feature.TEMPERATURE: CARRIED,
        Feature.TOP_P: CARRIED,
        Feature.TOP_K: CARRIED,
        Feature.MIN_P: dropped(),
        Feature.STOP: adapted("the first five"),
        Feature.SEVERAL_CHOICES: refused("one answer only"),
        Feature.SEED: CARRIED,
        Feature.PRESENCE_PENALTY: CARRIED,
        Feature.FREQUENCY_PENALTY: CARRIED,
        Feature.LOGPROBS: CARRIED,
        Feature.AUDIO_OUTPUT: refused("text only"),
        Feature.USER: dropped(),
        Feature.SUFFIX: refused("it does not fill gaps"),
        Feature.CACHE_MARK: dropped("it caches what begins alike by itself"),
        Feature.CITATIONS: dropped(),
        Feature.OTHER_FIELDS: dropped(),
    },
    proves=True,
)
