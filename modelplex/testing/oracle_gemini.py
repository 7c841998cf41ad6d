"""
A strict reader of Gemini's streams and requests, written from the other side's view.

It knows nothing of the codec: it holds a finished stream against the rules that SDKs
rely on, puts the reply together as they do, and holds a request against the rules
that the API answers 400 for.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

_REASONS = {"STOP", "MAX_TOKENS", "SAFETY"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_SETTINGS = {
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseJsonSchema",
    "thinkingConfig",
}
_MODES = {"AUTO", "ANY", "NONE", "VALIDATED"}


def frames(stream: bytes) -> list[dict[str, Any]]:
    """The payloads of server-sent events, each one line that starts ``data: ``."""
    assert stream.endswith(b"\r\n\r\n"), "the last event is not closed"
    found: list[dict[str, Any]] = []
    for block in stream[:-4].split(b"\r\n\r\n"):
        assert block.startswith(b"data: ") and b"\n" not in block, block
        found.append(json.loads(block[6:]))
    return found


def items(stream: bytes) -> list[dict[str, Any]]:
    """The payloads of a stream that is one array."""
    found: list[dict[str, Any]] = json.loads(stream)
    assert isinstance(found, list)
    return found


def read_reply(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """
    The reply that the complete stream adds up to: its parts, and how it ended.

    Neighbouring pieces of text, and of thought, are joined as every client shows them.

    :raises AssertionError: a rule that clients rely on is broken.
    """
    assert chunks, "no chunk at all"
    parts: list[dict[str, Any]] = []
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        (candidate,) = chunk["candidates"]
        assert candidate["index"] == 0
        assert ("finishReason" in candidate) is last, "the reason is in the last chunk"
        assert chunk["modelVersion"]
        assert chunk["responseId"] == chunks[0]["responseId"]
        content = candidate["content"]
        assert content["role"] == "model" and content["parts"]
        for part in content["parts"]:
            _checked_part(part)
            _add(parts, part)
    end = chunks[-1]["candidates"][0]
    assert end["finishReason"] in _REASONS
    usage = chunks[-1]["usageMetadata"]
    _counts(usage)
    return {"parts": parts, "finishReason": end["finishReason"], "usage": usage}


def _checked_part(part: dict[str, Any]) -> None:
    assert part, "an empty part, which clients take for a broken answer"
    assert ("text" in part) is not ("functionCall" in part)
    assert part.keys() <= {"text", "functionCall", "thought", "thoughtSignature"}
    if "functionCall" in part:
        call = part["functionCall"]
        assert call["id"] and call["name"] and isinstance(call["args"], dict)
    if "thoughtSignature" in part:
        base64.b64decode(part["thoughtSignature"], validate=True)  # SDKs keep bytes


def _add(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    last = parts[-1] if parts else {}
    same = "text" in last and "text" in part
    if same and last.get("thought") == part.get("thought"):
        if "thoughtSignature" in last and part["text"]:
            parts.append(dict(part))
            return
        last["text"] += part["text"]
        last.update({k: v for k, v in part.items() if k == "thoughtSignature"})
    elif part != {"text": ""}:
        parts.append(dict(part))


def _counts(usage: dict[str, Any]) -> None:
    for key, count in usage.items():
        assert isinstance(count, int) and count >= 0, key
    total = usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert usage["totalTokenCount"] == total + usage.get("thoughtsTokenCount", 0)


def check_request(body: dict[str, Any], *, signed: bool = True) -> None:
    """
    Hold a request against the rules that the API answers 400 for.

    :param signed: the model refuses the first call of a step without a signature.
    :raises AssertionError: a rule is broken.
    """
    assert body.keys() <= {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
    }
    contents = body["contents"]
    assert contents and contents[0]["role"] == "user"
    ids: list[str] = []
    before: dict[str, Any] = {"role": "model", "parts": []}
    for content in contents:
        assert content["role"] != before["role"], "two contents of one role in a row"
        assert content["parts"], "an empty content"
        _answers(before, content)
        calls = [p for p in content["parts"] if "functionCall" in p]
        ids += [part["functionCall"]["id"] for part in calls]
        if content["role"] == "user":
            assert not calls, "a user calls no tools"
        elif calls and signed:
            assert calls[0].get("thoughtSignature"), "the first call is not signed"
        for part in content["parts"]:
            _checked_request_part(part)
        before = content
    _answers(before, {"parts": []})
    assert len(ids) == len(set(ids)), "two calls have one id"
    for part in body.get("systemInstruction", {"parts": []})["parts"]:
        assert part.keys() == {"text"} and part["text"].strip()
    _checked_tools(body)
    _checked_settings(body.get("generationConfig", {}))


def _answers(calling: dict[str, Any], answering: dict[str, Any]) -> None:
    """As many responses as calls, in their order and before anything else."""
    calls = [p["functionCall"] for p in calling["parts"] if "functionCall" in p]
    found = [p.get("functionResponse") for p in answering["parts"]]
    first, rest = found[: len(calls)], found[len(calls) :]
    assert not any(rest), "a response without a call"
    for call, response in zip(calls, first, strict=True):
        assert response, "a call without a response"
        assert (call["id"], call["name"]) == (response["id"], response["name"])
        assert isinstance(response["response"], dict)


def _checked_request_part(part: dict[str, Any]) -> None:
    kinds = {"text", "functionCall", "functionResponse", "inlineData", "fileData"}
    assert len(kinds & part.keys()) == 1, part
    assert part.keys() <= kinds | {"thought", "thoughtSignature"}
    if "text" in part and "thoughtSignature" not in part:
        assert part["text"].strip(), "a text of nothing"
    if "inlineData" in part:
        assert part["inlineData"]["mimeType"] and "data" in part["inlineData"]
    if "functionCall" in part:
        assert isinstance(part["functionCall"]["args"], dict)
        assert _NAME.fullmatch(part["functionCall"]["name"])


def _checked_tools(body: dict[str, Any]) -> None:
    declared = [t for g in body.get("tools", ()) for t in g["functionDeclarations"]]
    assert declared or not {"tools", "toolConfig"} & body.keys()
    for tool in declared:
        assert _NAME.fullmatch(tool["name"])
        assert tool.keys() <= {"name", "description", "parametersJsonSchema"}
        assert "$schema" not in tool.get("parametersJsonSchema", {})
    if "toolConfig" in body:
        config = body["toolConfig"]["functionCallingConfig"]
        assert config["mode"] in _MODES
        names = config.get("allowedFunctionNames", [])
        assert not names or config["mode"] in ("ANY", "VALIDATED")
        assert set(names) <= {tool["name"] for tool in declared}


def _checked_settings(settings: dict[str, Any]) -> None:
    assert settings.keys() <= _SETTINGS
    assert None not in settings.values()
    assert len(settings.get("stopSequences", ())) <= 5
    thinking = settings.get("thinkingConfig", {})
    assert not {"thinkingLevel", "thinkingBudget"} <= thinking.keys()
    if "responseJsonSchema" in settings:
        assert settings["responseMimeType"] == "application/json"
    if "logprobs" in settings:
        assert settings["responseLogprobs"] is True
