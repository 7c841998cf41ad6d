"""What guests of each dialect can ask for, in what words, and of whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.fidelity import (
    CARRIED,
    Fate,
    Feature,
    Verdict,
    adapted,
    dropped,
    refused,
)
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS
from modelplex.wire.responses.dialect import RESPONSES


@frozen
class Inbound:
    """
    A dialect as guests speak it, and those it is translated to.

    :ivar refused: what no translation takes; it never becomes a canonical request.
    :ivar never: features that a guest of this dialect has no words for.
    :ivar words: its own, where they differ from the names of the features.
    """

    title: str
    dialect: Dialect
    targets: Sequence[Dialect]
    refused: Sequence[str]
    never: frozenset[Feature] = field(factory=frozenset)
    words: Mapping[Feature, str] = field(factory=dict)

    @property
    def asks(self) -> list[Feature]:
        """The features that a guest can ask for."""
        return [feature for feature in Feature if feature not in self.never]


_SAMPLING = frozenset(
    {
        *(Feature.MAX_TOKENS, Feature.TEMPERATURE, Feature.TOP_P, Feature.TOP_K),
        *(Feature.MIN_P, Feature.STOP, Feature.SEED, Feature.PRESENCE_PENALTY),
        *(Feature.FREQUENCY_PENALTY, Feature.LOGPROBS, Feature.OTHER_FIELDS),
    }
)
_FORMS = frozenset(
    {
        *(Feature.JSON_OBJECT, Feature.JSON_SCHEMA, Feature.REASONING_EFFORT),
        Feature.THINKING_BUDGET,
    }
)
_OLLAMA_WORDS = {
    Feature.IMAGE: "images",
    Feature.AUDIO: "images",
    Feature.JSON_OBJECT: "format",
    Feature.JSON_SCHEMA: "format",
    Feature.REASONING_EFFORT: "think",
    Feature.THINKING_BUDGET: "think",
    Feature.MAX_TOKENS: "options.num_predict",
    Feature.TEMPERATURE: "options.temperature",
    Feature.TOP_P: "options.top_p",
    Feature.TOP_K: "options.top_k",
    Feature.MIN_P: "options.min_p",
    Feature.STOP: "options.stop",
    Feature.SEED: "options.seed",
    Feature.PRESENCE_PENALTY: "options.presence_penalty",
    Feature.FREQUENCY_PENALTY: "options.frequency_penalty",
}

INBOUND = (
    Inbound(
        "Chat: ``POST /v1/chat/completions``",
        OPENAI_CHAT,
        (RESPONSES, ANTHROPIC, GEMINI, OLLAMA),
        (
            "a content part, a tool or a modality of a type that is not in the table",
            "``messages[].audio``, which names a recording at its provider",
        ),
        frozenset(
            {
                *(Feature.DOCUMENT_URL, Feature.TOOL_ERROR, Feature.SUFFIX),
                Feature.CITATIONS,
            }
        ),
    ),
    Inbound(
        "Completions: ``POST /v1/completions``",
        OPENAI_COMPLETIONS,
        (ANTHROPIC, GEMINI, OLLAMA_GENERATE),
        (
            "several prompts, or tokens as a prompt",
            "``n`` or ``best_of`` over 1",
            "``echo``",
        ),
        frozenset(Feature) - _SAMPLING - {Feature.USER, Feature.SUFFIX},
        {Feature.MAX_TOKENS: "max_tokens"},
    ),
    Inbound(
        "Responses: ``POST /v1/responses``",
        RESPONSES,
        (OPENAI_CHAT, ANTHROPIC, GEMINI, OLLAMA),
        (
            "``background``, ``conversation`` and ``prompt``",
            "an item or a content part that means something to its provider only",
            "a ``tool_choice`` of a tool that its provider runs",
        ),
        frozenset(
            {
                *(Feature.MESSAGE_NAME, Feature.TOOL_ERROR, Feature.STOP),
                *(Feature.TOP_K, Feature.MIN_P, Feature.SEVERAL_CHOICES),
                *(Feature.SEED, Feature.PRESENCE_PENALTY, Feature.AUDIO_OUTPUT),
                *(Feature.FREQUENCY_PENALTY, Feature.SUFFIX, Feature.CITATIONS),
                Feature.THINKING_BUDGET,
            }
        ),
        {
            Feature.IMAGE: "input_image",
            Feature.IMAGE_DETAIL: "input_image.detail",
            Feature.DOCUMENT: "input_file",
            Feature.DOCUMENT_URL: "file_url",
            Feature.DOCUMENT_TITLE: "input_file.filename",
            Feature.JSON_OBJECT: "text.format",
            Feature.JSON_SCHEMA: "text.format",
            Feature.THINKING_BLOCKS: "reasoning.summary",
            Feature.THINKING_SIGNATURE: "encrypted_content",
            Feature.REDACTED_THINKING: "encrypted_content",
            Feature.REASONING_EFFORT: "reasoning.effort",
            Feature.MAX_TOKENS: "max_output_tokens",
            Feature.LOGPROBS: "top_logprobs",
        },
    ),
    Inbound(
        "Messages: ``POST /v1/messages``",
        ANTHROPIC,
        (OPENAI_CHAT, RESPONSES, GEMINI, OLLAMA),
        ("an ``output_config.format`` that is no ``json_schema``",),
        frozenset(
            {
                *(Feature.MESSAGE_NAME, Feature.IMAGE_DETAIL, Feature.AUDIO),
                *(Feature.CUSTOM_TOOLS, Feature.JSON_OBJECT, Feature.MIN_P),
                *(Feature.SEVERAL_CHOICES, Feature.SEED, Feature.PRESENCE_PENALTY),
                *(Feature.FREQUENCY_PENALTY, Feature.LOGPROBS, Feature.SUFFIX),
                Feature.AUDIO_OUTPUT,
            }
        ),
        {
            Feature.DOCUMENT: "document",
            Feature.DOCUMENT_TITLE: "document.title",
            Feature.TOOL_CHOICE_REQUIRED: "any",
            Feature.TOOL_CHOICE_NAMED: "tool",
            Feature.PARALLEL_TOOL_CALLS: "disable_parallel_tool_use",
            Feature.JSON_SCHEMA: "output_config.format",
            Feature.THINKING_BLOCKS: "thinking",
            Feature.THINKING_SIGNATURE: "signature",
            Feature.REDACTED_THINKING: "redacted_thinking",
            Feature.REASONING_EFFORT: "output_config.effort",
            Feature.THINKING_BUDGET: "budget_tokens",
            Feature.MAX_TOKENS: "max_tokens",
            Feature.STOP: "stop_sequences",
            Feature.USER: "metadata.user_id",
            Feature.CACHE_MARK: "cache_control",
        },
    ),
    Inbound(
        "Gemini: ``POST /v1beta/models/…:generateContent``",
        GEMINI,
        (OPENAI_CHAT, RESPONSES, ANTHROPIC, OLLAMA),
        (
            "``cachedContent``, which is kept at its provider",
            "``responseModalities`` other than text",
            "a ``responseMimeType`` other than text and JSON",
        ),
        frozenset(
            {
                *(Feature.SYSTEM_IN_PLACE, Feature.MESSAGE_NAME, Feature.IMAGE_DETAIL),
                *(Feature.CUSTOM_TOOLS, Feature.STRICT_TOOLS, Feature.MIN_P),
                *(Feature.PARALLEL_TOOL_CALLS, Feature.AUDIO_OUTPUT, Feature.USER),
                *(Feature.SUFFIX, Feature.CACHE_MARK, Feature.CITATIONS),
            }
        ),
        {
            Feature.IMAGE: "inlineData",
            Feature.IMAGE_URL: "fileData",
            Feature.AUDIO: "inlineData",
            Feature.DOCUMENT: "inlineData",
            Feature.DOCUMENT_URL: "fileData",
            Feature.DOCUMENT_TITLE: "displayName",
            Feature.FILE_ID: "fileData",
            Feature.TOOLS: "functionDeclarations",
            Feature.TOOL_ERROR: "response.error",
            Feature.TOOL_RESULT_IMAGE: "functionResponse.parts",
            Feature.TOOL_CHOICE_NONE: "NONE",
            Feature.TOOL_CHOICE_REQUIRED: "ANY",
            Feature.TOOL_CHOICE_NAMED: "allowedFunctionNames",
            Feature.JSON_OBJECT: "responseMimeType",
            Feature.JSON_SCHEMA: "responseJsonSchema",
            Feature.THINKING_BLOCKS: "thought",
            Feature.THINKING_SIGNATURE: "thoughtSignature",
            Feature.REDACTED_THINKING: "thoughtSignature",
            Feature.REASONING_EFFORT: "thinkingLevel",
            Feature.THINKING_BUDGET: "thinkingBudget",
            Feature.MAX_TOKENS: "maxOutputTokens",
            Feature.TOP_P: "topP",
            Feature.TOP_K: "topK",
            Feature.STOP: "stopSequences",
            Feature.SEVERAL_CHOICES: "candidateCount",
            Feature.PRESENCE_PENALTY: "presencePenalty",
            Feature.FREQUENCY_PENALTY: "frequencyPenalty",
            Feature.LOGPROBS: "responseLogprobs",
        },
    ),
    Inbound(
        "Ollama chat: ``POST /api/chat``",
        OLLAMA,
        (OPENAI_CHAT, RESPONSES, ANTHROPIC, GEMINI),
        ("a tool of another type than ``function``",),
        frozenset(Feature)
        - _SAMPLING
        - _FORMS
        - {
            *(Feature.SYSTEM_IN_PLACE, Feature.IMAGE, Feature.AUDIO, Feature.TOOLS),
            *(Feature.TOOL_RESULT_IMAGE, Feature.THINKING_BLOCKS),
        },
        {**_OLLAMA_WORDS, Feature.THINKING_BLOCKS: "thinking"},
    ),
    Inbound(
        "Ollama generate: ``POST /api/generate``",
        OLLAMA_GENERATE,
        (OPENAI_COMPLETIONS, ANTHROPIC, GEMINI),
        (
            "``template``, ``context`` and ``raw``",
            "``system``, where it comes to OpenAI completions",
        ),
        frozenset(Feature)
        - _SAMPLING
        - _FORMS
        - {Feature.IMAGE, Feature.AUDIO, Feature.SUFFIX},
        _OLLAMA_WORDS,
    ),
)

_TEXTS_ONLY = refused("texts only")

#: By the provider's dialect. Embeddings are no `Request`, so they have no `Feature`.
EMBEDDINGS: Mapping[str, Mapping[str, Verdict]] = {
    "OpenAI": {
        "input: texts": CARRIED,
        "input: tokens": CARRIED,
        "dimensions": CARRIED,
        "encoding_format": CARRIED,
        "user": CARRIED,
        "other fields": dropped(),
    },
    "Ollama": {
        "input: texts": CARRIED,
        "input: tokens": _TEXTS_ONLY,
        "dimensions": CARRIED,
        "encoding_format": adapted("the numbers are encoded here"),
        "user": dropped(),
        "other fields": dropped("except truncate, keep_alive and options"),
    },
    "Gemini": {
        "input: texts": CARRIED,
        "input: tokens": _TEXTS_ONLY,
        "dimensions": Verdict(Fate.CARRIED, "as outputDimensionality"),
        "encoding_format": adapted("the numbers are encoded here"),
        "user": dropped(),
        "other fields": dropped("except taskType and title"),
    },
}
