"""A canonical request to a Messages request for one Claude model."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from attrs import define, field

from modelplex.errors import BadRequest
from modelplex.events import Document, Request
from modelplex.wire.anthropic import schema_out
from modelplex.wire.anthropic.abilities import Abilities, guess
from modelplex.wire.anthropic.blocks_out import Block
from modelplex.wire.anthropic.cache_out import cache_control, limit_marks
from modelplex.wire.anthropic.fidelity import FIDELITY
from modelplex.wire.anthropic.thinking_out import Plan, plan
from modelplex.wire.anthropic.tools_out import Offer, offer
from modelplex.wire.anthropic.turns_out import Talk, talk
from modelplex.wire.dialect import Encoded
from modelplex.wire.fidelity import admit

_USUAL_OUTPUT = 32_000  # tokens, when the guest names no limit; reasoning included
_ONE_OBJECT = "Respond with one JSON object only, without any text around it."


def encode_request(request: Request, abilities: Abilities | None = None) -> Encoded:
    """
    The request that asks a Claude model for the same; equal ones give equal bytes.

    :param abilities: of the model; guessed by its name if not known.
    :raises GatewayError: it asks for what the API cannot express, or is senseless.
    """
    try:
        return _encoded(request, abilities or guess(request.model))
    except RecursionError:
        # JSON can be read at a depth at which it cannot be written again, further in.
        raise BadRequest("the request is nested too deeply", param="tools") from None


def _encoded(request: Request, abilities: Abilities) -> Encoded:
    lost = list(admit(request, FIDELITY))
    max_tokens = _max_tokens(request, abilities)
    planned = plan(request, abilities, max_tokens)
    offered = offer(request, abilities, planned.active)
    spoken = talk(request.messages, abilities, planned.active)
    making = _Making(request, abilities, planned, offered, spoken)
    body = making.body(max_tokens)
    lost += [*planned.lost, *offered.lost, *spoken.lost, *making.lost]
    return Encoded(msgspec.json.encode(body), tuple(dict.fromkeys(lost)))


def _max_tokens(request: Request, abilities: Abilities) -> int:
    if request.max_tokens is None:
        return min(abilities.max_output, _USUAL_OUTPUT)
    if request.max_tokens < 1:
        raise BadRequest("max_tokens: at least 1 is needed", param="max_tokens")
    return min(request.max_tokens, abilities.max_output)


@define
class _Making:
    """The members of one body, from the decisions about its parts."""

    request: Request
    abilities: Abilities
    plan: Plan
    offer: Offer
    talk: Talk
    lost: list[str] = field(factory=list)

    def body(self, max_tokens: int) -> dict[str, Any]:
        request, offered = self.request, self.offer
        body: dict[str, Any] = {"model": request.model, "max_tokens": max_tokens}
        form, wish = self._response_format()
        instructions = [text for text in (offered.instruction, wish) if text]
        system = self.talk.system + [_text(text) for text in instructions]
        if system:
            body["system"] = system
        body["messages"] = [turn.wire() for turn in self.talk.turns]
        if offered.tools:
            body["tools"] = offered.tools
        if offered.choice is not None:
            body["tool_choice"] = offered.choice
        if self.plan.thinking is not None:
            body["thinking"] = self.plan.thinking
        if config := self._output_config(form):
            body["output_config"] = config
        body |= self._sampling()
        if stop := [text for text in request.stop if text.strip()]:
            body["stop_sequences"] = stop
        if request.user:
            body["metadata"] = {"user_id": _user_id(request.user)}
        body |= cache_control(request.cache)
        if request.stream:
            body["stream"] = True
        marked = [*offered.tools, *_with_results(self.talk.blocks()), body]
        limit_marks(marked)
        return body

    def _output_config(self, form: dict[str, Any] | None) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if self.plan.effort is not None:
            config["effort"] = self.plan.effort
        if form is not None:
            config["format"] = {"type": "json_schema", "schema": form}
        return config

    def _response_format(self) -> tuple[dict[str, Any] | None, str | None]:
        """The schema to enforce, or else the words that ask for it."""
        form = self.request.response_format
        if form is None:
            return None, None
        if form.schema is None:
            return None, _ONE_OBJECT
        # Structured outputs and citations exclude each other.
        if self.abilities.structured_outputs and not _cites(self.request):
            enforced = schema_out.subset(form.schema)
            if enforced is not None:
                return enforced, None
        schema = msgspec.json.encode(form.schema).decode()
        return None, f"{_ONE_OBJECT} It must satisfy this JSON Schema: {schema}"

    def _sampling(self) -> dict[str, Any]:
        """Temperature or top_p but not both; a model that thinks takes neither."""
        request = self.request
        wished = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
        }
        asked = {key: value for key, value in wished.items() if value is not None}
        taken: dict[str, Any] = {}
        if self.abilities.sampling and not self.plan.active:
            taken = dict(asked)
            if "temperature" in taken:
                taken["temperature"] = min(1.0, max(0.0, taken["temperature"]))
                taken.pop("top_p", None)
        self.lost += [key for key in asked if key not in taken]
        return taken


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _with_results(blocks: list[Block]) -> list[Block]:
    """The blocks, each preceded by those inside it, as the cache counts them."""
    found: list[Block] = []
    for block in blocks:
        if block["type"] == "tool_result":
            found += block.get("content", ())
        found.append(block)
    return found


def _cites(request: Request) -> bool:
    return any(
        isinstance(part, Document) and part.citations
        for message in request.messages
        for part in message.parts
    )


def _user_id(user: str) -> str:
    """`user` as an opaque id: no e-mail address, at most 256 characters."""
    if "@" in user or len(user) > 256:
        return hashlib.sha256(user.encode()).hexdigest()
    return user
