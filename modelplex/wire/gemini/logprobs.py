"""Log probabilities: Gemini's two lists, and the canonical entries per token."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from msgspec import Struct

from modelplex.events import JSON


class _Token(Struct, rename="camel"):
    token: str = ""
    log_probability: float | None = None

    def entry(self) -> dict[str, JSON]:
        return {
            "token": self.token,
            "logprob": self.log_probability or 0.0,
            "bytes": list(self.token.encode()),
        }


class _Top(Struct):
    candidates: list[_Token] | None = None


class LogprobsResult(Struct, rename="camel"):
    """`logprobsResult` of a candidate."""

    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Top] | None = None

    def entries(self) -> tuple[JSON, ...]:
        """OpenAI-shaped entries, one for each token that was chosen."""
        tops = self.top_candidates or []
        found = []
        for chosen, top in zip_longest(self.chosen_candidates or (), tops):
            if chosen is None:
                break
            others = (top.candidates if top is not None else None) or ()
            alternatives = [token.entry() for token in others]
            found.append({**chosen.entry(), "top_logprobs": alternatives})
        return tuple(found)


def wire_logprobs(entries: Iterable[JSON]) -> dict[str, Any]:
    """The `logprobsResult` that says `entries`; what is in no known shape is not."""
    known = [entry for entry in entries if isinstance(entry, dict)]
    tops = [entry.get("top_logprobs") for entry in known]
    return {
        "chosenCandidates": [_token(entry) for entry in known],
        "topCandidates": [
            {"candidates": [_token(other) for other in top if isinstance(other, dict)]}
            for top in (top if isinstance(top, list | tuple) else () for top in tops)
        ],
    }


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    token, logprob = entry.get("token"), entry.get("logprob")
    number = isinstance(logprob, int | float) and math.isfinite(logprob)
    return {
        "token": token if isinstance(token, str) else "",
        "logProbability": logprob if number else 0.0,
    }
