"""
What the members of Gemini's requests are called, and what they mean to a policy.

Gemini's JSON is protobuf's: ``fileData`` and ``file_data`` are one member. So every
name is looked up in both spellings, a third one is refused, and so are two of one
name. The names are those of the API and SDK of 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from modelplex.errors import BadRequest
from modelplex.guests.references import other_spelling
from modelplex.guests.rules import Rules

RULES = Rules(
    harmless=frozenset(
        {
            *("serviceTier", "taskType", "title", "outputDimensionality"),
            "continuationToken",  # goes on with an answer that was cut
        }
    ),
    own=frozenset(
        {
            *("contents", "content", "systemInstruction", "tools", "toolConfig"),
            *("generationConfig", "generateContentRequest", "requests", "model"),
            "store",
        }
    ),
    state=frozenset({"cachedContent", "previousInteractionId"}),
)
# Scalars, and schemas, in which an address is only an example. What is in neither
# list is looked through.
SETTINGS = frozenset(
    {
        *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens"),
        *("stopSequences", "seed", "presencePenalty", "frequencyPenalty"),
        *("responseLogprobs", "logprobs", "responseMimeType", "responseSchema"),
        *("responseJsonSchema", "_responseJsonSchema", "responseModalities"),
        *("audioTimestamp", "enableAffectiveDialog", "enableEnhancedCivicAnswers"),
        "mediaResolution",
    }
)
CHOOSING = frozenset({"routingConfig", "modelSelectionConfig"})
SAID = frozenset({"role"})

# Parts that nobody follows anything in, by their members; quick to tell.
QUICK = frozenset(
    {
        *("text", "thought", "thoughtSignature", "thought_signature", "inlineData"),
        *("inline_data", "functionCall", "function_call"),
        *("executableCode", "executable_code", "codeExecutionResult"),
        "code_execution_result",
    }
)
RESPONSES = ("functionResponse", "function_response")
ANSWER = frozenset(
    {"id", "name", "response", "willContinue", "will_continue", "scheduling"}
)
_PART = frozenset(
    {
        *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
        *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
        *("thought", "thoughtSignature", "parts", "fileUri", "response"),
    }
)
PLAIN = frozenset(
    {
        *("text", "thought", "thoughtSignature", "functionCall", "executableCode"),
        *("codeExecutionResult", "toolCall", "toolResponse"),
    }
)
# Members of all these that are looked through, to be known in both spellings.
_LOOKED = frozenset(
    {
        *("safetySettings", "labels", "modelArmorConfig", "embedContentConfig"),
        *("thinkingConfig", "speechConfig", "imageConfig", "responseFormat"),
        *("videoMetadata", "partMetadata"),
    }
)
_LONGEST = 64  # characters; longer ones are no member's name in any spelling


def names(keys: Iterable[str], where: str) -> dict[str, str]:
    """
    Each key by its name in camel case.

    :raises BadRequest: a name stands twice, or is spelt in a third way.
    """
    found: dict[str, str] = {}
    for key in keys:
        name = _name(key) if len(key) <= _LONGEST else key
        if name in found:
            raise BadRequest(
                f"{where or key}: {key!r} stands twice", param=where or key
            )
        found[name] = key
    return found


@lru_cache(maxsize=512)
def _name(key: str) -> str:
    if key in ("_responseJsonSchema", "_response_json_schema"):
        return "_responseJsonSchema"  # a member of its own, older
    name = _KNOWN.get(folded(key))
    if name is None:
        return key
    if key not in (name, _snake(name)):
        raise other_spelling(key, name)
    return name


def folded(key: str) -> str:
    """What all spellings of a key have in common."""
    return key.replace("_", "").casefold()


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def plain_model(name: str) -> str:
    """The name of a model without the collection that SDKs put in front."""
    return name.removeprefix("models/")


_KNOWN = {
    folded(name): name
    for group in (
        *(RULES.harmless, RULES.own, RULES.state, SETTINGS, CHOOSING, _PART),
        *(PLAIN, SAID, _LOOKED, {"functionDeclarations"}),
    )
    for name in group
    if not name.startswith("_")
}
