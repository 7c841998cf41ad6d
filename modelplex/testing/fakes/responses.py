"""A fake of OpenAI's Responses API: what it encrypts only itself takes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from attrs import define, field, frozen

from modelplex.testing.fakes.openai import CREATED_AT, OpenAI
from modelplex.testing.fakes.responses_events import Events
from modelplex.testing.fakes.responses_items import (
    Item,
    check_calls,
    check_items,
    check_reasoning,
    listed,
    resolved,
)
from modelplex.testing.fakes.responses_object import CUT_SHORT, begun, ended, usage
from modelplex.testing.fakes.responses_requests import (
    COMPACTED,
    COUNTED,
    CREATED,
    check_settings,
    declared,
    heard,
    unknown_only,
)
from modelplex.testing.fakes.script import Call, Heard, Script, Spoken, perform
from modelplex.testing.fakes.seals import Seals
from modelplex.testing.fakes.speaker import Answer, Asked, Refused, dump, whole

_QUOTED = re.compile(r"'([^']+)'")
_MISSED = "This model is only supported in v1/responses and not in v1/chat/completions."
_PATH = re.compile(r"/v1/responses/([^/]+)(?:/(cancel|input_items))?")


@frozen
class _Stored:
    """What is kept of one response, unless it is not to be."""

    response: dict[str, Any]
    input: list[Item]


@define(eq=False)
class Responses:
    """
    See `modelplex.testing.fakes.speaker.Speaker`; without chat, as for newer models.

    Reasoning has a summary if one was asked for, and encrypted content if that was.

    :ivar rest: answers for everything else under ``/v1``, such as images.
    """

    models: tuple[str, ...] = ("gpt-x",)
    key: str = ""
    garbage: bytes = b'event: response.output_text.delta\ndata: {"type":"resp\n\n'
    filler: bytes = (
        b'event: response.output_text.delta\ndata: {"type":'
        b'"response.output_text.delta","delta":"'
    )
    seals: Seals = field(factory=Seals)
    rest: OpenAI = field(init=False)
    _stored: dict[str, _Stored] = field(factory=dict)
    _items: dict[str, Item] = field(factory=dict)
    _reasoned: dict[str, str] = field(factory=dict)
    _streaming: tuple[Events, dict[str, Any]] = field(init=False)
    _count: int = 0

    @_streaming.default
    def _nothing_yet(self) -> tuple[Events, dict[str, Any]]:
        return Events(), begun("resp_none", {"model": self.models[0]})

    @rest.default
    def _rest(self) -> OpenAI:
        return OpenAI(self.models, self.key)

    def answer(self, asked: Asked, script: Script) -> Answer:
        self.rest.admitted(asked)
        match asked.method, asked.path:
            case "POST", "/v1/responses":
                return self._create(asked.json(), script)
            case "POST", "/v1/responses/input_tokens":
                self._understood(asked.json(), COUNTED)
                counted = {"input_tokens": script.input_tokens}
                return whole({"object": "response.input_tokens", **counted})
            case "POST", "/v1/responses/compact":
                return self._compact(asked.json(), script)
            case "POST", "/v1/chat/completions" | "/v1/completions":
                raise Refused(404, _MISSED)
            case _:
                found = _PATH.fullmatch(asked.path)
                if found is None:
                    return self.rest.answer(asked, script)
                return self._about(unquote(found[1]), asked, found[2])

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        """The parameter in question is the first that the message quotes."""
        kind = "invalid_request_error" if status < 429 else "server_error"
        kind = "rate_limit_error" if status == 429 else kind
        found = _QUOTED.search(message) if code is not None else None
        param = None if found is None else found[1]
        error = {"message": message, "type": kind, "param": param, "code": code}
        return dump({"error": error})

    def error_event(self, message: str) -> bytes:
        """It belongs to the response that was begun last."""
        events, first = self._streaming
        error = {"code": "server_error", "message": message}
        failed = {**first, "status": "failed", "error": error}
        return events.event("response.failed", response=failed)

    # --- what is stored

    def _about(self, id: str, asked: Asked, what: str | None) -> Answer:
        stored = self._stored.get(id)
        if stored is None:
            raise Refused(404, f"Response with id '{id}' not found.")
        match asked.method, what:
            case "GET", None:
                return whole(stored.response)
            case "DELETE", None:
                del self._stored[id]
                return whole({"id": id, "object": "response", "deleted": True})
            case "POST", "cancel":
                raise Refused(400, "Cannot cancel a synchronous response.")
            case "GET", "input_items":
                return self._input_items(stored, asked)
            case _:
                raise Refused(405, "Method not allowed")

    def _input_items(self, stored: _Stored, asked: Asked) -> Answer:
        items = stored.input if asked.asks("order") == "asc" else stored.input[::-1]
        after, limit = asked.asks("after"), int(asked.asks("limit") or 20)
        ids = [item["id"] for item in items]
        start = ids.index(after) + 1 if after in ids else 0
        page = items[start : start + limit]
        ends = {"first_id": None, "last_id": None}
        if page:
            ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]}
        more = start + limit < len(items)
        return whole({"object": "list", "data": page, "has_more": more, **ends})

    # --- answers

    def _understood(self, body: Any, known: frozenset[str]) -> tuple[Heard, list[Item]]:
        """What is asked for, and the whole conversation up to now."""
        unknown_only(body, known)
        self.rest.known(body.get("model"))
        before: list[Item] = []
        previous = body.get("previous_response_id")
        if previous is not None:
            if previous not in self._stored:
                said = f"Previous response with id '{previous}' not found."
                raise Refused(400, said, "previous_response_not_found")
            stored = self._stored[previous]
            before = [*stored.input, *stored.response["output"]]
        try:
            check_settings(body)
            items = listed(body.get("input", []))
            check_items(items)
            items = [*before, *resolved(items, self._items)]
            check_calls(items)
            check_reasoning(items, self.seals, self._reasoned)
            return heard(body, items), items
        except (LookupError, TypeError, AttributeError) as e:
            raise Refused(400, f"Invalid input: {e!r}", "invalid_type") from None

    def _create(self, body: Any, script: Script) -> Answer:
        told, items = self._understood(body, CREATED)
        spoken = perform(script, told)
        output = self._output(body, spoken)
        first = begun(self._id("resp"), body)
        last = {**first, **ended(spoken, output)}
        if body.get("store") is not False:
            self._store(last, items)
        if not told.stream:
            return whole(last, told)
        options = body.get("stream_options") or {}
        events = Events(options.get("include_obfuscation", True))
        self._streaming = events, first
        announcing = tuple(
            events.event(f"response.{kind}", response=first)
            for kind in ("created", "in_progress")
        )
        pieces = _events(events, output, spoken, last)
        return Answer(
            pieces, told, True, announcing, "text/event-stream; charset=utf-8"
        )

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:048x}"

    def _store(self, response: dict[str, Any], items: list[Item]) -> None:
        kept = [self._kept(item) for item in items]
        self._stored[response["id"]] = _Stored(response, kept)
        self._items |= {item["id"]: item for item in (*kept, *response["output"])}

    def _kept(self, item: Item) -> Item:
        """An item of the input as it is listed: with an id, its text as a part."""
        kept = item if item.get("id") else {**item, "id": self._id(_prefix(item))}
        if item["type"] == "message" and isinstance(item["content"], str):
            kind = "output_text" if item["role"] == "assistant" else "input_text"
            content = [{"type": kind, "text": item["content"]}]
            kept = {**kept, "content": content, "status": "completed"}
        return kept

    def _output(self, body: Any, spoken: Spoken) -> list[Item]:
        output: list[Item] = []
        if spoken.thinking:
            output.append(self._thought(body, spoken))
        if text := "".join(spoken.pieces()):
            part = {"type": "output_text", "annotations": [], "logprobs": []}
            status = "incomplete" if spoken.ending in CUT_SHORT else "completed"
            output.append(
                {
                    "id": self._id("msg"),
                    "type": "message",
                    "status": status,
                    "role": "assistant",
                    "content": [{**part, "text": text}],
                }
            )
        tools = dict(declared(body))
        output += [self._call(call, tools.get(call.name, {})) for call in spoken.calls]
        if spoken.thinking:
            own = output[0]["id"]
            self._reasoned |= {item["id"]: own for item in output[1:2]}
        return output

    def _thought(self, body: Any, spoken: Spoken) -> Item:
        id = self._id("rs")
        thought: Item = {"id": id, "type": "reasoning", "summary": []}
        if body["reasoning"].get("summary") and not spoken.redacted:
            thought["summary"] = [{"type": "summary_text", "text": spoken.thinking}]
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            thought["encrypted_content"] = self.seals.lock(f"{id} {spoken.thinking}")
        return thought

    def _call(self, call: Call, tool: dict[str, Any]) -> Item:
        rest: dict[str, Any] = {"call_id": call.id, "name": call.name}
        if "namespace" in tool:
            rest["namespace"] = tool["namespace"]
        if tool.get("type") == "custom":
            written = call.arguments.get("input", dump(call.arguments).decode())
            kind, key, prefix = "custom_tool_call", "input", "ctc"
        else:
            written = dump(call.arguments).decode()
            kind, key, prefix = "function_call", "arguments", "fc"
        id = self._id(prefix)
        return {"id": id, "type": kind, "status": "completed", key: written, **rest}

    def _compact(self, body: Any, script: Script) -> Answer:
        _, items = self._understood(body, COMPACTED)
        id = self._id("cmp")
        locked = self.seals.lock(f"{id} {dump(items).decode()}")
        compacted = {"id": id, "type": "compaction", "encrypted_content": locked}
        asking = [
            self._kept(item)
            for item in items
            if item["type"] == "message" and item["role"] == "user"
        ]
        spoken = perform(script, Heard(body["model"], False))
        told = {
            "id": self._id("resp"),
            "object": "response.compaction",
            "created_at": CREATED_AT,
            "output": [*asking, compacted],
        }
        return whole({**told, "usage": usage(spoken)})


def _prefix(item: Item) -> str:
    return {"message": "msg", "reasoning": "rs"}.get(item["type"], "fc")


def _events(
    events: Events, output: list[Item], spoken: Spoken, last: dict[str, Any]
) -> Iterator[bytes]:
    for index, item in enumerate(output):
        yield from events.item(index, item, spoken.pieces)
    yield events.event(f"response.{last['status']}", response=last)
