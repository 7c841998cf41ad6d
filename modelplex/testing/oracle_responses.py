"""
What the strictest readers of a Responses stream demand, as a check and an accumulator.

It knows nothing of `modelplex.wire`, so that an encoder and this can disagree. The
rules are those of OpenAI's SDKs' accumulators and what OpenAI itself does.
"""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]

_ENDS = ("response.completed", "response.incomplete", "response.failed")
_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
_BESIDE = frozenset({*_CALLS, "mcp_call"})  # may be open while others are
_TEXTS = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
}


def payloads(stream: bytes) -> list[Event]:
    """
    The payload of each event of a complete stream.

    :raises AssertionError: a frame is not an ``event`` and a ``data`` line that agree,
        or the events are not numbered from 0 without gaps.
    """
    text = stream.decode()
    assert text.endswith("\n\n"), "the last event has no empty line"
    found: list[Event] = []
    for number, frame in enumerate(text[:-2].split("\n\n")):
        lines = frame.split("\n")
        assert len(lines) == 2 and "\r" not in frame, f"not two lines: {frame!r}"
        assert lines[0].startswith("event: ") and lines[1].startswith("data: ")
        event = json.loads(lines[1][6:])
        assert event["type"] == lines[0][7:], "the event line says something else"
        assert event["sequence_number"] == number, "a number is left out or twice"
        found.append(event)
    return found


def accumulate(stream: bytes) -> dict[str, Any]:
    """
    Read a stream as a strict client does.

    :returns: the response object of the last event.
    :raises AssertionError: the stream breaks a rule that some client depends on.
    """
    first, second, *rest, last = payloads(stream)
    assert first["type"] == "response.created"
    assert second["type"] == "response.in_progress"
    for event in (first, second):
        assert event["response"]["status"] == "in_progress"
        assert event["response"]["output"] == []
        assert event["response"]["id"] == last["response"]["id"], "another id"
    items: list[_Item] = []
    for event in rest:
        _take(event, items)
    assert last["type"] in _ENDS, "the stream has no end"
    response: dict[str, Any] = last["response"]
    assert f"response.{response['status']}" == last["type"]
    complete = [item.done for item in items if item.done is not None]
    if response["status"] == "failed":
        assert response["error"]["code"] and response["error"]["message"]
    else:
        assert len(complete) == len(items), "an item is not complete"
        assert response["usage"] is not None and response["error"] is None
    assert response["output"] == complete, "the output is not what was streamed"
    ids = [item["id"] for item in complete]
    assert len(set(ids)) == len(ids), "two items have the same id"
    assert all(len(id) <= 64 for id in ids), "an id is too long to be sent back"
    why = response["incomplete_details"]
    assert (why is not None) == (response["status"] == "incomplete")
    return response


class _Item:
    """One item, built from its events."""

    def __init__(self, first: dict[str, Any]) -> None:
        self.first = first
        self.kind: str = first["type"]
        self.done: dict[str, Any] | None = None
        self.open: dict[str, Any] | None = None  # the part that is being added to
        self.closing: list[str] = []  # what must come before the item is done
        self.parts: list[dict[str, Any]] = []
        self.written = ""

    def part(self, event: Event, index: str) -> None:
        assert self.open is None, "a part begins inside another"
        assert event[index] == len(self.parts), "a part is left out"
        self.open = event["part"]

    def part_done(self, event: Event) -> None:
        assert self.open is not None and event["part"] == self.open
        self.parts.append(self.open)
        self.open = None


def _take(event: Event, items: list[_Item]) -> None:
    kind, index = event["type"], event["output_index"]
    if kind == "response.output_item.added":
        assert index == len(items), "an index is left out or comes twice"
        item = _Item(event["item"])
        if item.kind not in _BESIDE:
            beside = [i for i in items if i.done is None and i.kind not in _BESIDE]
            assert not beside, "two items are written at once"
        _begins(item)
        items.append(item)
        return
    assert index < len(items), "an event before its item"
    item = items[index]
    assert item.done is None, "an event after its item is done"
    if kind == "response.output_item.done":
        _done(item, event["item"])
        return
    assert event["item_id"] == item.first["id"], "an item changes its id"
    match item.kind:
        case "message":
            _message(item, event)
        case "reasoning":
            _reasoning(item, event)
        case "mcp_list_tools":
            _listing(item, event)
        case "mcp_call":
            _hosted(item, event)
        case _:
            _call(item, event)


def _begins(item: _Item) -> None:
    first = item.first
    match item.kind:
        case "message":
            assert first["content"] == [] and first["role"] == "assistant"
        case "reasoning":
            assert first["summary"] == []
        case "mcp_list_tools":
            assert first["server_label"] and first["tools"] == []
        case "mcp_call":
            assert first["arguments"] == "" and first["status"] == "in_progress"
            assert first["name"] and first["server_label"] is not None
            assert first["output"] is None and first["error"] is None
        case _:
            key, _ = _CALLS[item.kind]
            assert first[key] == "" and first["call_id"] is not None
            assert first["name"] is not None


def _message(item: _Item, event: Event) -> None:
    kind = event["type"]
    if kind == "response.content_part.added":
        item.part(event, "content_index")
        assert item.open is not None
        key, _ = _TEXTS[item.open["type"]]
        assert item.open[key] == ""
        return
    assert event["content_index"] == len(item.parts) and item.open is not None
    key, prefix = _TEXTS[item.open["type"]]
    if kind == "response.content_part.done":
        assert item.closing, "a part is done before its text"
        item.closing.clear()
        item.part_done(event)
        return
    assert not item.closing, "something comes after the whole text"
    if kind == f"{prefix}.delta":
        item.open[key] += event["delta"]
        if key == "text":
            item.open["logprobs"] += event["logprobs"]
    elif kind == f"{prefix}.done":
        assert event[key] == item.open[key]
        item.closing.append(kind)
    else:
        assert kind == "response.output_text.annotation.added", kind
        assert event["annotation_index"] == len(item.open["annotations"])
        item.open["annotations"].append(event["annotation"])


def _reasoning(item: _Item, event: Event) -> None:
    kind = event["type"].removeprefix("response.reasoning_summary_")
    if kind == "part.added":
        item.part(event, "summary_index")
        return
    assert item.open is not None and event["summary_index"] == len(item.parts)
    match kind:
        case "text.delta":
            item.open["text"] += event["delta"]
        case "text.done":
            assert event["text"] == item.open["text"]
        case _:
            assert kind == "part.done", kind
            item.part_done(event)


_LISTING = ["in_progress", "completed"]


def _listing(item: _Item, event: Event) -> None:
    item.closing.append(event["type"].removeprefix("response.mcp_list_tools."))
    assert item.closing == _LISTING[: len(item.closing)]


_MADE = ["mcp_call.in_progress", "mcp_call_arguments.done"]


def _hosted(item: _Item, event: Event) -> None:
    """Its arguments are told, and then how the call has ended."""
    kind = event["type"].removeprefix("response.")
    if kind == "mcp_call_arguments.delta":
        assert item.closing == _MADE[:1], "arguments at the wrong time"
        item.written += event["delta"]
        return
    if kind == "mcp_call_arguments.done":
        assert event["arguments"] == item.written
    item.closing.append(kind)
    if len(item.closing) > len(_MADE):
        assert kind in ("mcp_call.completed", "mcp_call.failed")
        assert item.closing[:-1] == _MADE, "it ends twice, or too soon"
    else:
        assert item.closing == _MADE[: len(item.closing)]


def _call(item: _Item, event: Event) -> None:
    key, prefix = _CALLS[item.kind]
    if event["type"] == f"{prefix}.delta":
        assert not item.closing, "something comes after all the arguments"
        item.written += event["delta"]
    else:
        assert event["type"] == f"{prefix}.done", event["type"]
        assert event[key] == item.written
        item.closing.append(prefix)


def _done(item: _Item, done: dict[str, Any]) -> None:
    assert item.open is None, "a part is still open"
    for key in ("id", "type", "call_id", "name", "namespace"):
        assert done.get(key) == item.first.get(key), f"{key} changes"
    match item.kind:
        case "message":
            assert done["content"] == item.parts != []
        case "reasoning":
            assert done["summary"] == item.parts
        case "mcp_list_tools":
            assert item.closing == _LISTING and done["error"] is None
            assert done["server_label"] == item.first["server_label"]
            assert all(
                {"name", "input_schema"} <= tool.keys() for tool in done["tools"]
            )
        case "mcp_call":
            assert done["arguments"] == item.written and len(item.closing) == 3
            failed = done["status"] == "failed"
            assert not failed or done["error"]["type"] == "mcp_tool_execution_error"
            assert item.closing[-1] == f"mcp_call.{done['status']}"
            assert (done["error"] is not None) == failed
            assert (done["output"] is None) == failed
            assert done["server_label"] == item.first["server_label"]
        case _:
            key, _ = _CALLS[item.kind]
            assert item.closing and done[key] == item.written
            assert item.kind == "custom_tool_call" or done[key], "no arguments"
    item.done = done
