"""What a request to a fake of Gemini asks for, if the real one would take it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from modelplex.testing.fakes.script import Heard
from modelplex.testing.fakes.seals import Seals, unsealed
from modelplex.testing.fakes.speaker import Refused, dump

# Documented for a history that another model has written.
SKIP = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
_KINDS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is "
    "required for tools to work correctly, and missing thought_signature may lead to "
    "degraded model performance. Additional data, function call `default_api:{}` , "
    "position {}."
)


def sealed_call(seals: Seals, call: Any) -> str:
    """The signature on a function call."""
    arguments = json.dumps(call.get("args", {}), sort_keys=True)
    return seals.seal("call", call["name"], arguments)


def sealed_text(seals: Seals) -> str:
    """The signature on any other part, which its text may be cut and joined under."""
    return seals.seal("text")


def check(body: Any, seals: Seals, generation: int) -> None:
    """
    Hold a request against what the API answers 400 for.

    :param generation: from 3 on, function calls of the current turn must be signed.
    :raises Refused: a rule is broken.
    """
    contents = body.get("contents")
    if not contents:
        raise _refused("contents: contents is not specified")
    for place, content in enumerate(contents):
        _check_content(content, place)
    if contents[0].get("role", "user") != "user":
        raise Refused(400, "Please ensure that the first content is a user's.")
    _check_turns(contents)
    _check_signatures(contents, seals)
    if generation >= 3:
        _check_current(contents)
    for content in filter(None, [body.get("systemInstruction")]):
        if not content.get("parts"):
            raise _refused("system_instruction.parts: must not be empty")
    _check_tools(body)
    _check_settings(body.get("generationConfig", {}), generation)


def _check_content(content: Any, place: int) -> None:
    if content.get("role", "user") not in ("user", "model", "function"):
        raise Refused(400, "Please use a valid role: user, model.")
    if not content.get("parts"):
        raise _refused(f"contents[{place}].parts: contents.parts must not be empty.")
    for number, part in enumerate(content["parts"]):
        where = f"contents[{place}].parts[{number}]"
        kinds = [kind for kind in _KINDS if kind in part]
        if len(kinds) != 1:
            said = "required oneof field 'data' must have one initialized field"
            raise _refused(f"{where}.data: {said}")
        if part.get("text") == "" and "thoughtSignature" not in part:
            raise _refused(f"{where}.text: must not be empty")
        for kind in ("functionCall", "functionResponse"):
            if kind in part and not part[kind].get("name"):
                raise _refused(f"{where}: Name cannot be empty.")
        if "inlineData" in part and not part["inlineData"].get("mimeType"):
            raise _refused(f"{where}.inline_data: mime type must not be empty")


def _check_turns(contents: list[Any]) -> None:
    """Calls follow a user, responses follow their calls, and nothing comes between."""
    open_: list[Any] = []
    before = "model"
    for content in contents:
        calls, responses = _of(content, "functionCall"), _of(content, _RESPONSE)
        if len(responses) != len(open_):
            if not open_:
                raise Refused(
                    400,
                    "Please ensure that function response turn comes immediately after "
                    "a function call turn.",
                )
            raise Refused(
                400,
                "Please ensure that the number of function response parts is equal to "
                "the number of function call parts of the function call turn.",
            )
        if sorted(map(_named, open_)) != sorted(map(_named, responses)):
            raise Refused(400, "Function responses do not match the function calls.")
        if calls and (before != "user" or content.get("role") != "model"):
            raise Refused(
                400,
                "Please ensure that function call turn comes immediately after a user "
                "turn or after a function response turn.",
            )
        open_ = calls
        role = content.get("role", "user")
        before = "user" if role == "function" else role
    if open_:
        raise Refused(400, "Function calls without function responses at the end.")


_RESPONSE = "functionResponse"


def _named(one: Any) -> tuple[str, str]:
    return one.get("id", ""), one["name"]


def _of(content: Any, kind: str) -> list[Any]:
    return [part[kind] for part in content["parts"] if kind in part]


def _skips(signature: str) -> bool:
    return signature in SKIP or unsealed(signature) in [s.encode() for s in SKIP]


def _check_signatures(contents: list[Any], seals: Seals) -> None:
    for part in (p for content in contents for p in content["parts"]):
        signature = part.get("thoughtSignature")
        if signature is None or _skips(signature):
            continue
        call = part.get("functionCall")
        own = sealed_text(seals) if call is None else sealed_call(seals, call)
        if unsealed(signature) != unsealed(own):
            raise Refused(400, "Corrupted thought signature.")


def _check_current(contents: list[Any]) -> None:
    """Each step since a user has last said something begins its calls with a proof."""
    last = max(
        place
        for place, content in enumerate(contents)
        if content.get("role", "user") == "user" and not _of(content, _RESPONSE)
    )
    for place, content in enumerate(contents[last:], last):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            name = calls[0]["functionCall"]["name"]
            raise Refused(400, _UNSIGNED.format(name, place + 1))


def _declared(body: Any) -> list[Any]:
    return [d for t in body.get("tools", ()) for d in t.get("functionDeclarations", ())]


def _check_tools(body: Any) -> None:
    declared = _declared(body)
    for place, tool in enumerate(declared):
        where = f"tools[0].function_declarations[{place}]"
        if not _NAME.fullmatch(tool.get("name", "")):
            raise _refused(f"{where}.name: Invalid function name.")
        if {"parameters", "parametersJsonSchema"} <= tool.keys():
            raise _refused(f"{where}: parameters and parameters_json_schema are set.")
        if tool.get("parameters", {}).get("type", "OBJECT").upper() != "OBJECT":
            raise _refused(f"{where}.parameters: must be an OBJECT.")
        for path, schema in _schemas(tool.get("parameters", {}), "parameters"):
            kind = schema.get("type", "").upper()
            if kind == "ARRAY" and "items" not in schema:
                raise _refused(f"{where}.{path}.items: missing field.")
    names = [tool["name"] for tool in declared]
    if len(names) != len(set(names)):
        raise Refused(400, "Duplicate function declaration found.")
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = config.get("allowedFunctionNames", ())
    if allowed and config.get("mode") not in ("ANY", "VALIDATED"):
        raise Refused(
            400, "Please set allowed_function_names only with mode ANY or VALIDATED."
        )
    if not set(allowed) <= set(names):
        raise Refused(400, "allowed_function_names names an unknown function.")
    if config.get("mode") in ("ANY", "VALIDATED") and not declared:
        raise Refused(400, "Function calling config is set without declarations.")


def _schemas(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _schemas(inner, f"{path}.properties[{name}]")
    if "items" in schema:
        yield from _schemas(schema["items"], f"{path}.items")


def _check_settings(settings: Any, generation: int) -> None:
    thinking = settings.get("thinkingConfig", {})
    if {"thinkingLevel", "thinkingBudget"} <= thinking.keys():
        raise Refused(
            400, "You can only set only one of thinking budget and thinking level."
        )
    if "thinkingLevel" in thinking and generation < 3:
        raise Refused(400, "Thinking level is not supported for this model.")
    if {"responseSchema", "responseJsonSchema"} <= settings.keys():
        raise Refused(400, "response_schema and response_json_schema are both set.")
    shaped = {"responseSchema", "responseJsonSchema"} & settings.keys()
    if shaped and settings.get("responseMimeType") != "application/json":
        raise Refused(400, "A response schema needs application/json.")
    if len(settings.get("stopSequences", ())) > 5:
        raise _refused("generation_config.stop_sequences: at most 5")
    if "logprobs" in settings and not settings.get("responseLogprobs"):
        raise Refused(400, "Logprobs is set, but response_logprobs is not.")
    if not 1 <= int(settings.get("maxOutputTokens", 1)) <= 65_536:
        raise _refused("generation_config.max_output_tokens: out of range")
    if not 0 <= settings.get("temperature", 1) <= 2:
        raise _refused("generation_config.temperature: must be within [0.0, 2.0]")


def heard(model: str, body: Any, stream: bool) -> Heard:
    """What a checked request asks for."""
    settings = body.get("generationConfig", {})
    thinking = settings.get("thinkingConfig", {})
    images: list[tuple[str, str]] = []
    said, results = "", []
    for content in body["contents"]:
        for part in content["parts"]:
            if part.get("inlineData", {}).get("mimeType", "").startswith("image/"):
                images.append(
                    (part["inlineData"]["mimeType"], part["inlineData"]["data"])
                )
        results = [_result(r) for r in _of(content, _RESPONSE)]
        texts = [p["text"] for p in content["parts"] if "text" in p]
        said = " ".join(texts) if texts else said
    limit = settings.get("maxOutputTokens")
    shape = settings.get("responseJsonSchema", settings.get("responseSchema"))
    system = body.get("systemInstruction", {}).get("parts", ())
    return Heard(
        model=model,
        stream=stream,
        system="\n".join(part.get("text", "") for part in system),
        said=said,
        images=tuple(images),
        results=tuple(results),
        tools=tuple(tool["name"] for tool in _declared(body)),
        schema=shape,
        thinks=bool(thinking.get("includeThoughts")),
        stop=tuple(settings.get("stopSequences", ())),
        max_tokens=None if limit is None else int(limit),
    )


def _result(response: Any) -> tuple[str, str]:
    told = response.get("response", {})
    text = next(iter(told.values()), "") if len(told) == 1 else told
    if told.keys() - {"output", "error", "result"} or not isinstance(text, str):
        text = dump(told).decode()
    return response.get("id") or response["name"], text


def _refused(what: str) -> Refused:
    return Refused(400, f"* GenerateContentRequest.{what}\n")
