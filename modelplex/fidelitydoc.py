"""
``docs/fidelity.rst``, rendered from what the dialects of `modelplex.wire` declare.

``python -m modelplex.fidelitydoc > docs/fidelity.rst`` writes it; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Dialect
from modelplex.wire.fidelity import (
    CARRIED,
    Feature,
    Verdict,
    adapted,
    dropped,
    refused,
)
from modelplex.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from modelplex.wire.openai.dialect import OPENAI_CHAT, OPENAI_COMPLETIONS

_INTRODUCTION = """\
..
   Rendered from modelplex/wire/ by ``python -m modelplex.fidelitydoc``.
   Change the declarations there, not this page.

What a translation keeps
========================

When the guest and the provider speak the same dialect, nothing is translated: every
byte of the request arrives as sent, but for the name of the model, what the guest's
policy takes out, and ``stream_options.include_usage``, which is asked for in streams
and not shown to a guest that did not ask. The answer is passed on as it came. This is
so for every request to a provider of type ``openai``, known to these tables or not.

Otherwise each thing that a request may ask for has one of four fates:

carried
   It is asked for in the provider's own words.
adapted
   It reaches the model in another form; the table says which.
dropped
   It is a hint. It is left out, and its name is in the answer's ``modelplex-dropped``
   header.
refused
   Without it the answer would mean something else. The request is answered with
   status 400, and the error names the field.
"""


@frozen
class Inbound:
    """
    A dialect as guests speak it, and those it is translated to.

    :ivar refused: what no translation takes; it never becomes a canonical request.
    :ivar never: features that a guest of this dialect has no words for.
    """

    title: str
    dialect: Dialect
    targets: Sequence[Dialect]
    refused: Sequence[str]
    never: frozenset[Feature] = field(factory=frozenset)

    @property
    def asks(self) -> list[Feature]:
        """The features that a guest can ask for."""
        return [feature for feature in Feature if feature not in self.never]


_IN_PROMPTS = frozenset(
    {
        *(Feature.MAX_TOKENS, Feature.TEMPERATURE, Feature.TOP_P, Feature.TOP_K),
        *(Feature.MIN_P, Feature.STOP, Feature.SEED, Feature.PRESENCE_PENALTY),
        *(Feature.FREQUENCY_PENALTY, Feature.LOGPROBS, Feature.USER, Feature.SUFFIX),
        Feature.OTHER_FIELDS,
    }
)

INBOUND = (
    Inbound(
        "Chat: ``POST /v1/chat/completions``",
        OPENAI_CHAT,
        (ANTHROPIC, OLLAMA),
        (
            "a content part, a tool or a modality of a type that is not in the table",
            "``messages[].audio``, which names a recording at its provider",
        ),
        frozenset(
            {
                *(Feature.DOCUMENT_URL, Feature.TOOL_ERROR, Feature.SUFFIX),
                Feature.CITATIONS,
            }
        ),
    ),
    Inbound(
        "Completions: ``POST /v1/completions``",
        OPENAI_COMPLETIONS,
        (ANTHROPIC, OLLAMA_GENERATE),
        (
            "several prompts, or tokens as a prompt",
            "``n`` or ``best_of`` over 1",
            "``echo``",
        ),
        frozenset(Feature) - _IN_PROMPTS,
    ),
)

#: Embeddings are translated to Ollama only; they are no `Request`, so no `Feature`.
EMBEDDINGS: Mapping[str, Verdict] = {
    "input: texts": CARRIED,
    "input: tokens": refused("Ollama takes text only"),
    "dimensions": CARRIED,
    "encoding_format": adapted("the numbers are encoded here"),
    "user": dropped(),
    "other fields": dropped("except truncate, keep_alive and options"),
}


def render() -> str:
    """The whole page."""
    sections = [_INTRODUCTION.strip(), *map(_section, INBOUND), _embeddings()]
    return "\n\n".join(sections)


def _section(inbound: Inbound) -> str:
    titles = [target.fidelity.title for target in inbound.targets]
    rows = [
        (feature.value, [t.fidelity.verdicts[feature] for t in inbound.targets])
        for feature in inbound.asks
    ]
    never = ["No translation takes:", "", *(f"* {what}" for what in inbound.refused)]
    return "\n".join(
        [*_titled(inbound.title), *_table(titles, rows), "", *_ended(never)]
    )


def _embeddings() -> str:
    rows = [(name, [verdict]) for name, verdict in EMBEDDINGS.items()]
    title = "Embeddings: ``POST /v1/embeddings``"
    return "\n".join([*_titled(title), *_table(["Ollama embed"], rows)])


def _titled(title: str) -> list[str]:
    return [title, "-" * len(title), ""]


def _ended(lines: Sequence[str]) -> list[str]:
    return [line + ";" if line.startswith("* ") else line for line in lines[:-1]] + [
        lines[-1] + "."
    ]


def _table(
    titles: Sequence[str], rows: Sequence[tuple[str, Sequence[Verdict]]]
) -> list[str]:
    share = 72 // len(titles)
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        f"   :widths: 28 {' '.join([str(share)] * len(titles))}",
        "",
    ]
    cells = [["Asked for", *titles]]
    cells += [[_named(name), *map(_said, verdicts)] for name, verdicts in rows]
    for row in cells:
        for mark, cell in zip("*" + " " * len(titles), row, strict=True):
            lines.append(f"   {mark} - {cell}")
    return lines


def _said(verdict: Verdict) -> str:
    fate = f"**{verdict.fate.value}**"
    return f"{fate}: {verdict.note}" if verdict.note else fate


def _named(name: str) -> str:
    return name if " " in name else f"``{name}``"


if __name__ == "__main__":
    sys.stdout.write(render() + "\n")
