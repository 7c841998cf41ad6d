"""A fake of Anthropic's API that refuses what the real one does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from attrs import define, field

from modelplex.testing.fakes.anthropic_requests import (
    BETAS,
    MEMBERS,
    UNCOUNTED,
    check_proofs,
    check_tool_turn,
    heard_message,
    spelled_out,
)
from modelplex.testing.fakes.script import Heard, Script, Spoken, cut, perform
from modelplex.testing.fakes.seals import Seals
from modelplex.testing.fakes.speaker import (
    Answer,
    Asked,
    Refused,
    dump,
    known_only,
    whole,
)
from modelplex.testing.oracle_anthropic import check_request

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_OLD, _NEW = "2023-06-01", "2026-10-21"
_SAMPLING = {"temperature", "top_p", "top_k"}  # not in the new version
_ENDINGS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_SSE = "text/event-stream; charset=utf-8"


@define(eq=False)
class Anthropic:
    """
    See `modelplex.testing.fakes.speaker.Speaker`.

    It takes back only the signatures and the redacted thinking that this very one has
    issued, and each signature only on the text that it was issued for.

    :ivar thinking: the types of ``thinking`` that its models take.
    """

    models: tuple[str, ...] = ("claude-x",)
    key: str = ""
    thinking: tuple[str, ...] = ("enabled", "disabled")
    garbage: bytes = b'event: content_block_delta\ndata: {"type":"content_block_d\n\n'
    filler: bytes = b'event: content_block_delta\ndata: {"type":"content_block_delta","'
    seals: Seals = field(factory=Seals)

    def answer(self, asked: Asked, script: Script) -> Answer:
        self._admitted(asked)
        match asked.method, asked.path:
            case "POST", "/v1/messages":
                return self._message(asked.json(), _members(asked), script)
            case "POST", "/v1/messages/count_tokens":
                return self._count(asked.json(), _members(asked), script)
            case "GET", "/v1/models":
                ends = {"first_id": self.models[0], "last_id": self.models[-1]}
                listed = list(map(self._model, self.models))
                return whole({"data": listed, "has_more": False, **ends})
            case "GET", path if path.startswith("/v1/models/"):
                name = unquote(path.removeprefix("/v1/models/"))
                self._known(name)
                return whole(self._model(name))
            case _:
                raise Refused(404, "Not found")

    def refusal(self, status: int, message: str, code: str | None = None) -> bytes:
        kind = _KINDS.get(status, "api_error")
        error = {"type": kind, "message": message}
        return dump({"type": "error", "error": error, "request_id": "req_fake"})

    def error_event(self, message: str) -> bytes:
        return b"event: error\ndata: " + self.refusal(529, message) + b"\n\n"

    def _admitted(self, asked: Asked) -> None:
        headers = asked.headers
        if headers.get("anthropic-version") not in (_OLD, _NEW):
            raise Refused(400, "anthropic-version: header is required")
        token = headers.get("authorization", "").removeprefix("Bearer ")
        given = headers.get("x-api-key", token)
        if self.key and given != self.key:
            raise Refused(401, f"invalid x-api-key: {given}")

    def _known(self, model: object) -> None:
        if model not in self.models:
            raise Refused(404, f"model: {model}")

    def _model(self, name: str) -> dict[str, Any]:
        types = ("enabled", "adaptive", "disabled", "between_tools")
        thinking = {kind: {"supported": kind in self.thinking} for kind in types}
        adaptive = "adaptive" in self.thinking
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2026-09-22T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "lifecycle": "active",
            "capabilities": {
                "thinking": {"supported": True, "types": thinking},
                "effort": {word: {"supported": adaptive} for word in _EFFORTS},
                "structured_outputs": {"supported": True},
                "image_input": {"supported": True},
                "pdf_input": {"supported": True},
            },
        }

    def _message(self, body: Any, members: frozenset[str], script: Script) -> Answer:
        known_only(body, members, "{}: Extra inputs are not permitted")
        self._known(body.get("model"))
        self._allowed(body)
        heard = heard_message(body)
        spoken = perform(script, heard)
        thought = self._thought(body, spoken)
        if heard.stream:
            first = {**_opening(heard, spoken), "content": [], "stop_reason": None}
            announcing = (
                _event("message_start", message=first),
                _event("ping"),
            )
            return Answer(_events(thought, spoken), heard, True, announcing, _SSE)
        blocks = [thought] if thought else []
        if text := "".join(spoken.pieces()):
            blocks.append({"type": "text", "text": text})
        for call in spoken.calls:
            used = {"id": call.id, "name": call.name, "input": call.arguments}
            blocks.append({"type": "tool_use", **used})
        told = {**_opening(heard, spoken), "content": blocks, **_stop(spoken)}
        told["usage"] = {**told["usage"], **_written(spoken)}
        return whole(told, heard)

    def _thought(self, body: Any, spoken: Spoken) -> dict[str, Any]:
        """The block of thinking, if there is one."""
        if not spoken.thinking:
            return {}
        if spoken.redacted:
            locked = self.seals.lock(spoken.thinking)
            return {"type": "redacted_thinking", "data": locked}
        omitted = body["thinking"].get("display") == "omitted"
        text = "" if omitted else spoken.thinking
        sealed = self.seals.seal(text)
        return {"type": "thinking", "thinking": text, "signature": sealed}

    def _count(self, body: Any, members: frozenset[str], script: Script) -> Answer:
        known_only(body, members - UNCOUNTED, "{}: Extra inputs are not permitted")
        self._known(body.get("model"))
        self._legal({**body, "max_tokens": 64_000})
        return whole({"input_tokens": script.input_tokens})

    def _allowed(self, body: Any) -> None:
        """Everything the API answers 400 for, as far as a request can tell."""
        limit = body.get("max_tokens")
        if not isinstance(limit, int):
            raise Refused(400, "max_tokens: Field required")
        if limit > 64_000:
            raise Refused(400, f"max_tokens: {limit} > 64000")
        if "temperature" in body and "top_p" in body:
            raise Refused(400, "`temperature` and `top_p` cannot both be specified")
        if any(not stop.strip() for stop in body.get("stop_sequences", ())):
            raise Refused(400, "stop_sequences: each must contain non-whitespace")
        thinking = body.get("thinking") or {"type": "disabled"}
        if thinking["type"] not in (*self.thinking, "disabled"):
            raise Refused(400, f"thinking: {thinking['type']!r} is not supported")
        if thinking["type"] == "enabled":
            if not 1024 <= thinking["budget_tokens"] < limit:
                raise Refused(400, "thinking.budget_tokens: not below max_tokens")
            if body.get("temperature", 1) != 1:
                raise Refused(400, "`temperature` may only be set to 1 with thinking")
        forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
        if forced and thinking["type"] in ("enabled", "adaptive"):
            raise Refused(400, "Thinking may not be enabled when tool use is forced")
        self._legal(body)

    def _legal(self, body: Any) -> None:
        try:
            spelled = spelled_out(body)
            check_request(spelled)
            check_proofs(spelled["messages"], self.seals)
            check_tool_turn(spelled)
        except (AssertionError, LookupError, TypeError, AttributeError) as e:
            raise Refused(400, f"messages: {e}") from None


def _members(asked: Asked) -> frozenset[str]:
    """The members of a request that its headers let in."""
    words = asked.headers.get("anthropic-beta", "").split(",")
    betas = {name for name, word in BETAS.items() if word in words}
    if asked.headers["anthropic-version"] == _NEW:
        return (MEMBERS | betas) - _SAMPLING
    return MEMBERS | betas


def _opening(heard: Heard, spoken: Spoken) -> dict[str, Any]:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": heard.model,
        "stop_sequence": None,
        "usage": {
            "input_tokens": spoken.input_tokens - spoken.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": spoken.cached_tokens,
            "output_tokens": 1,
        },
    }


def _stop(spoken: Spoken) -> dict[str, Any]:
    return {
        "stop_reason": _ENDINGS.get(spoken.ending, spoken.ending),
        "stop_sequence": spoken.stopped_at,
    }


def _written(spoken: Spoken) -> dict[str, Any]:
    details = {"thinking_tokens": spoken.thinking_tokens}
    return {"output_tokens": spoken.output_tokens, "output_tokens_details": details}


def _event(kind: str, **rest: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dump({"type": kind, **rest}))


def _events(thought: dict[str, Any], spoken: Spoken) -> Iterator[bytes]:
    number = 0

    def start(**block: Any) -> bytes:
        return _event("content_block_start", index=number, content_block=block)

    def delta(**told: Any) -> bytes:
        return _event("content_block_delta", index=number, delta=told)

    if thought:
        if thought["type"] == "thinking":
            yield start(type="thinking", thinking="", signature="")
            for piece in cut(thought["thinking"]):
                yield delta(type="thinking_delta", thinking=piece)
            yield delta(type="signature_delta", signature=thought["signature"])
        else:
            yield start(**thought)
        yield _event("content_block_stop", index=number)
        number += 1
    if spoken.text:
        # Joined, as it says nothing by itself and is no announcement either.
        begun = start(type="text", text="")
        for piece in spoken.pieces():
            yield begun + delta(type="text_delta", text=piece)
            begun = b""
        yield _event("content_block_stop", index=number)
        number += 1
    for call in spoken.calls:
        yield start(type="tool_use", id=call.id, name=call.name, input={})
        yield delta(type="input_json_delta", partial_json="")
        for piece in cut(dump(call.arguments).decode()):
            yield delta(type="input_json_delta", partial_json=piece)
        yield _event("content_block_stop", index=number)
        number += 1
    yield _event("message_delta", delta=_stop(spoken), usage=_written(spoken))
    yield _event("message_stop")
