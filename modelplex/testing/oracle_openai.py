"""
What the strictest readers of an OpenAI stream demand, as a check and an accumulator.

It knows nothing of `modelplex.wire`, so that an encoder and this can disagree.
"""

from __future__ import annotations

import json
from typing import Any

Accumulated = dict[str, Any]


def payloads(stream: bytes) -> list[str]:
    """
    The payload of each event of a complete stream, ``[DONE]`` left out.

    :raises AssertionError: a frame is not one ``data`` line, or the end is not clean.
    """
    text = stream.decode()
    assert text.endswith("\n\n"), "the last event has no empty line"
    found: list[str] = []
    for frame in text[:-2].split("\n\n"):
        assert "\n" not in frame and "\r" not in frame, f"more than a line: {frame!r}"
        assert frame.startswith("data: "), f"no data line: {frame!r}"
        found.append(frame[6:])
    assert found[-1] == "[DONE]", "the stream does not end with [DONE]"
    assert "[DONE]" not in found[:-1], "[DONE] is not the end"
    return found[:-1]


def accumulate_chat(stream: bytes, include_usage: bool) -> Accumulated:
    """
    Read a chat stream as a strict client does.

    :returns: the message's members, ``finish_reason``, ``logprobs`` and ``usage``.
    :raises AssertionError: the stream breaks a rule that some client depends on.
    """
    chunks = [json.loads(p) for p in payloads(stream)]
    ordinary = _told(chunks, "chat.completion.chunk", include_usage)
    said: Accumulated = {
        "content": "",
        "refusal": "",
        "reasoning_content": "",
        "reasoning": "",
        "reasoning_details": [],
        "annotations": [],
        "tool_calls": [],
        "logprobs": [],
        "finish_reason": None,
        "usage": chunks[-1]["usage"] if include_usage else None,
    }
    first = ordinary[0]["choices"][0]["delta"]
    assert first == {"role": "assistant", "content": "", "refusal": None}
    for chunk in ordinary:
        choice = _choice(chunk, said)
        delta = choice["delta"]
        assert isinstance(delta, dict), "a choice has no delta"
        if chunk is not ordinary[0]:
            assert "role" not in delta, "the role comes twice"
        if choice["finish_reason"] is not None:
            assert delta == {}, "the finish chunk says something else, too"
        for key in ("content", "refusal", "reasoning_content", "reasoning"):
            said[key] += delta.get(key) or ""
        for entry in delta.get("tool_calls", ()):
            _add_call(entry, said["tool_calls"])
        for entry in delta.get("reasoning_details", ()):
            _add_detail(entry, said["reasoning_details"])
        if "annotations" in delta:
            assert not said["annotations"], "a list without index comes twice"
            said["annotations"] = delta["annotations"]
    assert said["finish_reason"] is not None, "no finish reason"
    for call in said["tool_calls"]:
        if call["type"] == "function":
            assert call["function"]["arguments"], "a call has no arguments"
    return said


def accumulate_completion(stream: bytes, include_usage: bool) -> Accumulated:
    """
    Read the stream of a legacy completion.

    :returns: ``text``, ``finish_reason``, ``logprobs`` and ``usage``.
    :raises AssertionError: the stream breaks a rule.
    """
    chunks = [json.loads(p) for p in payloads(stream)]
    said: Accumulated = {
        "text": "",
        "logprobs": [],
        "finish_reason": None,
        "usage": chunks[-1]["usage"] if include_usage else None,
    }
    for chunk in _told(chunks, "text_completion", include_usage):
        said["text"] += _choice(chunk, said)["text"]
    return said


def _told(
    chunks: list[dict[str, Any]], kind: str, include_usage: bool
) -> list[dict[str, Any]]:
    """The chunks with a choice, after what all chunks have to fulfil."""
    for chunk in chunks:
        assert chunk["object"] == kind
        for key in ("id", "created", "model"):
            assert chunk[key] == chunks[0][key], f"{key} changes"
        if not include_usage:
            assert "usage" not in chunk, "usage was not asked for"
    if not include_usage:
        return chunks
    *ordinary, last = chunks
    assert last["choices"] == [] and last["usage"] is not None, "usage is not last"
    assert all(c["usage"] is None for c in ordinary), "usage comes early"
    return ordinary


def _choice(chunk: dict[str, Any], said: Accumulated) -> dict[str, Any]:
    [choice] = chunk["choices"]
    assert choice["index"] == 0
    assert said["finish_reason"] is None, "something follows the finish reason"
    said["finish_reason"] = choice["finish_reason"]
    if choice["logprobs"] is not None:
        said["logprobs"].append(choice["logprobs"])
    return dict(choice)


def _add_call(entry: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    index = entry["index"]
    if index == len(calls):
        kind = entry["type"]
        assert entry["id"] and entry[kind]["name"] is not None
        assert set(entry) == {"index", "id", "type", kind}
        calls.append(entry)
        return
    assert index < len(calls), "an index is left out"
    kind = calls[index]["type"]
    assert set(entry) == {"index", kind}, "the id or type comes twice"
    key = "arguments" if kind == "function" else "input"
    assert set(entry[kind]) == {key}, "the name comes twice"
    calls[index][kind][key] += entry[kind][key]


def _add_detail(entry: dict[str, Any], details: list[dict[str, Any]]) -> None:
    index = entry["index"]
    if index == len(details):
        details.append(dict(entry))
        return
    assert index == len(details) - 1, "blocks of reasoning are mixed"
    known = details[index]
    for key, value in entry.items():
        if key == "text":
            known["text"] = known.get("text", "") + value
        elif key in ("index", "type"):
            assert known[key] == value
        else:
            assert key not in known, f"{key} comes twice for one index"
            known[key] = value
