"""Token probabilities: the four parallel lists of completions, and chat's entries."""

from __future__ import annotations

from typing import Any

from modelplex.events import JSON


def legacy(entries: tuple[JSON, ...], offset: int) -> JSON:
    """
    Chat's entries as the ``logprobs`` of a completion.

    :param offset: characters of text before these tokens.
    """
    tokens: list[str] = []
    values: list[JSON] = []
    tops: list[JSON] = []
    offsets: list[int] = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        token = _token(entry)
        tokens.append(token)
        values.append(entry.get("logprob"))
        alternatives = entry.get("top_logprobs")
        tops.append(
            {
                _token(top): top.get("logprob")
                for top in (alternatives if isinstance(alternatives, list) else [])
                if isinstance(top, dict)
            }
        )
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": values,
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def entries(logprobs: dict[str, Any]) -> tuple[JSON, ...]:
    """The ``logprobs`` of a completion as chat's entries; llama.cpp's are those."""
    content = logprobs.get("content")
    if isinstance(content, list):
        return tuple(content)
    tokens, values = _list(logprobs, "tokens"), _list(logprobs, "token_logprobs")
    tops = _list(logprobs, "top_logprobs")
    return tuple(
        {
            "token": token,
            "logprob": values[n] if n < len(values) else None,
            "bytes": None,
            "top_logprobs": _alternatives(tops[n] if n < len(tops) else None),
        }
        for n, token in enumerate(tokens)
    )


def _alternatives(top: JSON) -> list[JSON]:
    if not isinstance(top, dict):
        return []
    return [{"token": t, "logprob": p, "bytes": None} for t, p in top.items()]


def _token(entry: dict[str, Any]) -> str:
    token = entry.get("token")
    return token if isinstance(token, str) else ""


def _list(logprobs: dict[str, Any], key: str) -> list[Any]:
    value = logprobs.get(key)
    return value if isinstance(value, list) else []
