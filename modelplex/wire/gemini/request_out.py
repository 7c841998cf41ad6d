"""A canonical request to a ``generateContent`` request for one Gemini model."""

from __future__ import annotations

from typing import Any

import msgspec

from modelplex.errors import BadRequest
from modelplex.events import Request
from modelplex.wire.dialect import Encoded
from modelplex.wire.fidelity import admit
from modelplex.wire.gemini import schema_out
from modelplex.wire.gemini.abilities import Abilities, guess
from modelplex.wire.gemini.contents_out import Talk, talk
from modelplex.wire.gemini.fidelity import FIDELITY
from modelplex.wire.gemini.thinking_out import thinking_config
from modelplex.wire.gemini.tools_out import offer
from modelplex.wire.typed import pack

_MOST_STOPS = 5
_MOST_LOGPROBS = 20
_ONE_OBJECT = "Respond with one JSON object only, without any text around it."


def encode_request(request: Request, abilities: Abilities | None = None) -> Encoded:
    """
    The request that asks a Gemini model for the same; equal ones give equal bytes.

    The model and whether to stream are no part of it: they stand in the path
    (`modelplex.wire.gemini.paths`).

    :param abilities: of the model; guessed by its name if not known.
    :raises GatewayError: it asks for what the API cannot express, or is senseless.
    """
    abilities = abilities or guess(request.model)
    try:
        body, lost = _body(request, abilities)
    except RecursionError:
        # JSON can be read at a depth at which it cannot be cut to a subset.
        raise BadRequest("the request is nested too deeply", param="tools") from None
    return Encoded(pack(body), tuple(dict.fromkeys(lost)))


def _body(request: Request, abilities: Abilities) -> tuple[dict[str, Any], list[str]]:
    lost = list(admit(request, FIDELITY))
    settings, wish = _settings(request, abilities, lost)
    spoken = talk(request.messages, abilities)
    lost += spoken.lost
    body: dict[str, Any] = {}
    if wish is not None:
        _wish(spoken, abilities, wish)
    if spoken.system:
        body["systemInstruction"] = {"parts": spoken.system}
    body["contents"] = spoken.contents
    body |= offer(request, abilities)
    if settings:
        body["generationConfig"] = settings
    return body, lost


def _wish(spoken: Talk, abilities: Abilities, wish: str) -> None:
    if abilities.system:
        spoken.system.append({"text": wish})
    else:
        spoken.contents[-1]["parts"].append({"text": f"[system]: {wish}"})


def _settings(
    request: Request, abilities: Abilities, lost: list[str]
) -> tuple[dict[str, Any], str | None]:
    """`generationConfig`, and what has to be asked for in words."""
    if request.max_tokens is not None and request.max_tokens < 1:
        raise BadRequest("max_tokens: at least 1 is needed", param="max_tokens")
    stop = [text for text in request.stop if text]
    if len(stop) > _MOST_STOPS:
        lost.append("stop")
    form, wish = _response_format(request, abilities)
    wished: dict[str, Any] = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": stop[:_MOST_STOPS] or None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        **_logprobs(request.logprobs),
        **form,
        "thinkingConfig": thinking_config(request.thinking, abilities, lost) or None,
    }
    return {key: value for key, value in wished.items() if value is not None}, wish


def _logprobs(count: int | None) -> dict[str, Any]:
    if count is None:
        return {}
    if not 0 <= count <= _MOST_LOGPROBS:
        raise BadRequest(
            f"top_logprobs: at most {_MOST_LOGPROBS} are given", param="top_logprobs"
        )
    return {"responseLogprobs": True, "logprobs": count or None}


def _response_format(
    request: Request, abilities: Abilities
) -> tuple[dict[str, Any], str | None]:
    """The members that enforce a schema, or else the words that ask for it."""
    form = request.response_format
    if form is None:
        return {}, None
    json_only = {"responseMimeType": "application/json"}
    words = _ONE_OBJECT
    if form.schema is not None:
        schema = msgspec.json.encode(form.schema).decode()
        words = f"{words} It must satisfy this JSON Schema: {schema}"
    if request.tools and not abilities.forms_with_tools:
        return {}, words
    if form.schema is None:
        return json_only, None
    enforced = schema_out.subset(form.schema)
    if enforced is None:
        return json_only, words
    return {**json_only, "responseJsonSchema": enforced}, None
