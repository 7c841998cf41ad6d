"""The models a guest may use, in the words of each dialect: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelplex.errors import BadRequest

_NOWHEN = "1970-01-01T00:00:00Z"  # upstreams' dates are not known

Shown = Mapping[str, object]


def listed(names: Sequence[str]) -> Shown:
    """``GET /v1/models`` as the OpenAI, Anthropic and Gemini SDKs all read it."""
    return {
        "object": "list",
        "data": [entry(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
        "models": [gemini_entry(name) for name in names],
    }


def entry(name: str) -> Shown:
    """One model for OpenAI's and Anthropic's SDKs."""
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": _NOWHEN,
        "owned_by": "modelplex",
        "display_name": name,
    }


def gemini_listed(names: Sequence[str], size: str, token: str) -> Shown:
    """
    A page of ``GET /v1beta/models``.

    :param size: how many the guest wants, as it wrote it; empty for 50.
    :param token: the name the page before ended with.
    :raises BadRequest: `size` is no number from 1.
    """
    if not (size or "50").isdecimal() or not 0 < len(size or "50") < 10:
        raise BadRequest("pageSize: must be a number", param="pageSize")
    most = min(int(size or "50") or 50, 1000)
    left = [name for name in names if name > token]
    page = left[:most]
    more = {"nextPageToken": page[-1]} if len(left) > len(page) else {}
    return {"models": [gemini_entry(name) for name in page], **more}


def gemini_entry(name: str) -> Shown:
    """One model for Gemini's SDKs."""
    return {
        "name": f"models/{name}",
        "displayName": name,
        "supportedGenerationMethods": [
            "generateContent",
            "countTokens",
            "embedContent",
        ],
    }


def ollama_listed(names: Sequence[str]) -> Shown:
    """``GET /api/tags``; nothing is on a disk of ours, so sizes are 0."""
    return {"models": [_tag(name) for name in names]}


def ollama_shown() -> Shown:
    """
    ``POST /api/show``: of what a model can do only what this API can carry.

    Nothing is told of how a provider has set the model up.
    """
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _DETAILS,
        "model_info": {},
        "capabilities": ["completion", "tools", "vision"],
        "modified_at": _NOWHEN,
    }


_DETAILS: Shown = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


def _tag(name: str) -> Shown:
    return {
        "name": name,
        "model": name,
        "modified_at": _NOWHEN,
        "size": 0,
        "digest": "",
        "details": _DETAILS,
    }
