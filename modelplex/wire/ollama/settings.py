"""
What ``/api/chat`` and ``/api/generate`` share beside the words: ``options``,
``format``, ``think``, ``logprobs`` and what only Ollama has.

Ollama's own members are `Request.extra` under their own names, those of ``options``
as ``options.num_ctx`` and so on. A guest of another dialect may use them too, with
or without the prefix, or a whole ``options`` object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.errors import BadRequest
from modelplex.events import JSON, JsonSchema, Request, ThinkingControl
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.typed import member

_NUMBERS = (
    "temperature",
    "top_p",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
)
_SHARED = frozenset((*_NUMBERS, "top_k", "seed", "stop", "num_predict"))

# Members of options that no other dialect has (ollama/ollama api/types.go).
_OWN_OPTIONS = frozenset(
    (
        "draft_num_predict",
        "main_gpu",
        "num_batch",
        "num_ctx",
        "num_gpu",
        "num_keep",
        "num_thread",
        "repeat_last_n",
        "repeat_penalty",
        "typical_p",
        "use_mmap",
    )
)
_OWN_MEMBERS = frozenset(("keep_alive", "truncate", "shift"))
_READ_HERE = frozenset(
    ("model", "stream", "format", "options", "think", "logprobs", "top_logprobs")
)
_EFFORTS: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}


def is_own(name: str, value: JSON) -> bool:
    """Whether a member of `Request.extra` reaches Ollama."""
    if name == "options":
        return isinstance(value, dict)
    return name in _OWN_MEMBERS or name in _OWN_OPTIONS or name.startswith("options.")


# --- writing ----------------------------------------------------------------


def encode_settings(request: Request) -> dict[str, JSON]:
    """
    The members of a request's body that are settings, without those left unset.

    :raises BadRequest: a reasoning effort that is no word for one.
    """
    body: dict[str, JSON] = {}
    if (form := request.response_format) is not None:
        body["format"] = "json" if form.schema is None else form.schema
    if options := _encode_options(request):
        body["options"] = options
    if (think := _encode_thinking(request.thinking)) is not None:
        body["think"] = think
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    for name in sorted(_OWN_MEMBERS & request.extra.keys()):
        body[name] = request.extra[name]
    return body


def _encode_options(request: Request) -> dict[str, JSON]:
    options: dict[str, JSON] = {}
    for name, value in request.extra.items():
        if name == "options" and isinstance(value, dict):
            options |= value
        elif name in _OWN_OPTIONS:
            options[name] = value
        elif name.startswith("options."):
            options[name.removeprefix("options.")] = value
    for name in (*_NUMBERS, "top_k", "seed"):
        if (value := getattr(request, name)) is not None:
            options[name] = value
    if request.stop:
        options["stop"] = request.stop
    if request.max_tokens:
        options["num_predict"] = request.max_tokens
    return options


def _encode_thinking(control: ThinkingControl | None) -> bool | str | None:
    if control is None:
        return None
    if control.mode in ("disabled", "between_tools") or control.budget == 0:
        return False
    if control.effort is not None:
        if control.effort not in _EFFORTS:
            raise BadRequest(
                f"reasoning_effort: {control.effort!r} is none of "
                + ", ".join(_EFFORTS),
                param="reasoning_effort",
            )
        return _EFFORTS[control.effort]
    return None if control.mode is None and control.budget is None else True


# --- reading ----------------------------------------------------------------


def decode_settings(body: JsonObject, also_read: frozenset[str]) -> dict[str, Any]:
    """
    The same members as arguments for `Request`.

    :param also_read: members that the caller reads itself; every other one that is
        not known here becomes `Request.extra`.
    :raises BadRequest: a value is of the wrong type or no legal word; names its path.
    """
    stream = member(body, "stream", bool)
    settings: dict[str, Any] = {
        "stream": True if stream is None else stream,
        "response_format": _decode_format(body),
        "thinking": _decode_thinking(body),
    }
    top = member(body, "top_logprobs", int)
    if member(body, "logprobs", bool):
        settings["logprobs"] = max(top or 0, 0)
    extra = {
        name: member(body, name, Any)
        for name in body.spans
        if name not in _READ_HERE and name not in also_read
    }
    settings |= _decode_options(body, extra)
    settings["extra"] = {k: v for k, v in extra.items() if v is not None}
    return settings


def _decode_options(body: JsonObject, extra: dict[str, JSON]) -> dict[str, Any]:
    """The canonical ones; the others are put into `extra`."""
    raw = body.raw("options")
    if raw is None or raw == b"null":
        return {}
    options = open_object(raw, "options")
    settings: dict[str, Any] = {
        name: member(options, name, float, within="options.") for name in _NUMBERS
    }
    for name in ("top_k", "seed", "num_predict"):
        # Go cuts the fraction off, and clients do send 128.0.
        value = member(options, name, int | float, within="options.")
        settings[name] = None if value is None else int(value)
    tokens = settings.pop("num_predict")
    settings["max_tokens"] = tokens if tokens and tokens > 0 else None  # -1: no limit
    if settings["seed"] == -1:  # Ollama's word for a seed of its own choice
        settings["seed"] = None
    stop = member(options, "stop", list[str] | str, within="options.") or []
    settings["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    for name in options.spans:
        if name not in _SHARED:
            extra[f"options.{name}"] = member(options, name, Any, within="options.")
    return settings


def _decode_format(body: JsonObject) -> JsonSchema | None:
    form = member(body, "format", str | dict[str, Any])
    if form is None or form == "":
        return None
    if form == "json":
        return JsonSchema()
    if isinstance(form, str):
        raise BadRequest('format: "json" or a JSON Schema is expected', param="format")
    return JsonSchema(form)


def _decode_thinking(body: JsonObject) -> ThinkingControl | None:
    think = member(body, "think", bool | str)
    if think is None or think == "":
        return None
    if think is True:
        return ThinkingControl(mode="enabled")
    if think is False:
        return ThinkingControl(effort="none")
    if think not in ("low", "medium", "high", "max"):
        raise BadRequest(
            "think: true, false, low, medium, high or max is expected", param="think"
        )
    return ThinkingControl(effort=think)
