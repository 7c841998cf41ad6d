"""What a request of another dialect loses on its way to the Messages API."""

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

_OWN = Verdict(Fate.CARRIED, "Anthropic's own; others are dropped")
_OLDER = "Claude up to 4.6 only, and not while it thinks; otherwise dropped"

FIDELITY = Fidelity(
    "Anthropic Messages",
    {
        Feature.SYSTEM_IN_PLACE: adapted("role system, or a reminder in the user turn"),
        Feature.MESSAGE_NAME: dropped(),
        Feature.IMAGE: adapted("jpeg, png, gif and webp; others are refused"),
        Feature.IMAGE_URL: CARRIED,
        Feature.IMAGE_DETAIL: dropped(),
        Feature.AUDIO: refused("it takes no audio"),
        Feature.DOCUMENT: adapted("PDF and text; others are refused"),
        Feature.DOCUMENT_TITLE: CARRIED,
        Feature.DOCUMENT_URL: CARRIED,
        Feature.FILE_ID: refused("the file is in another provider's store"),
        Feature.TOOLS: CARRIED,
        Feature.CUSTOM_TOOLS: adapted("a function of one string"),
        Feature.STRICT_TOOLS: adapted("if the schema fits its subset, else dropped"),
        Feature.TOOL_ERROR: CARRIED,
        Feature.TOOL_RESULT_IMAGE: CARRIED,
        Feature.TOOL_CHOICE_NONE: CARRIED,
        Feature.TOOL_CHOICE_REQUIRED: adapted(
            "an instruction where the model cannot be forced"
        ),
        Feature.TOOL_CHOICE_NAMED: adapted(
            "an instruction where the model cannot be forced"
        ),
        Feature.PARALLEL_TOOL_CALLS: CARRIED,
        Feature.JSON_OBJECT: adapted("an instruction"),
        Feature.JSON_SCHEMA: adapted("its subset of JSON Schema, or an instruction"),
        Feature.THINKING_BLOCKS: dropped("unless signed by Anthropic"),
        Feature.THINKING_SIGNATURE: _OWN,
        Feature.REDACTED_THINKING: _OWN,
        Feature.REASONING_EFFORT: adapted("adaptive thinking, or a budget of tokens"),
        Feature.THINKING_BUDGET: adapted("as the model takes it"),
        Feature.MAX_TOKENS: adapted("at most what the model allows"),
        Feature.TEMPERATURE: adapted(f"at most 1; {_OLDER}"),
        Feature.TOP_P: adapted(f"not beside temperature; {_OLDER}"),
        Feature.TOP_K: adapted(_OLDER),
        Feature.MIN_P: dropped(),
        Feature.STOP: adapted("without those of white space only"),
        Feature.SEVERAL_CHOICES: refused("it gives one answer"),
        Feature.SEED: dropped(),
        Feature.PRESENCE_PENALTY: dropped(),
        Feature.FREQUENCY_PENALTY: dropped(),
        Feature.LOGPROBS: refused("it gives none"),
        Feature.AUDIO_OUTPUT: refused("it speaks no audio"),
        Feature.USER: adapted("metadata.user_id; hashed if long or an e-mail address"),
        Feature.SUFFIX: refused("it does not fill gaps"),
        Feature.CACHE_MARK: adapted("the last four, for 5 minutes or an hour"),
        Feature.CITATIONS: adapted("its own, in the assistant's turns; else dropped"),
        Feature.OTHER_FIELDS: dropped(),
    },
    proves=True,
)
