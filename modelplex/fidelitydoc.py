"""
``docs/fidelity.rst``, rendered from what the dialects of `modelplex.wire` declare.

``python -m modelplex.fidelitydoc > docs/fidelity.rst`` writes it; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from modelplex.wire.dialect import Dialect
from modelplex.wire.fidelity import Feature, Verdict
from modelplex.wire.inbound import EMBEDDINGS, INBOUND, Inbound

_INTRODUCTION = """\
..
   Rendered from modelplex/wire/ by ``python -m modelplex.fidelitydoc``.
   Change the declarations there, not this page.

What a translation keeps
========================

When the guest and the provider speak the same dialect, nothing is translated: every
byte of the request arrives as sent, but for the name of the model, what the guest's
policy takes out, reasoning that a model of another provider signed, and
``stream_options.include_usage``, which is asked for in streams and not shown to a guest
that did not ask. The answer is passed on as it came. This is so for every such request,
known to these tables or not.

Otherwise each thing that a request may ask for has one of four fates:

carried
   It is asked for in the provider's own words.
adapted
   It reaches the model in another form.
dropped
   It is a hint. It is left out, and its name is in the answer's ``modelplex-dropped``
   header.
refused
   Without it the answer would mean something else. The request is answered with
   status 400, and the error names the field.

There is a table for each dialect that guests speak, with a column for each that
providers speak. A fate that is a link has more to it, told further below.

Things are named as OpenAI names them, in the header and in errors too, whatever the
guest speaks. Where its own dialect has another word, that stands beside the name.
"""

_FURTHER = """\
The providers
-------------

What a fate above means in particular."""

_EMBEDDINGS = """\
Embeddings
----------

Guests ask for embeddings at ``POST /v1/embeddings``, ``POST /api/embed``,
``:embedContent`` and ``:batchEmbedContents``. Only those of OpenAI's dialect can send
tokens, a format and a user. A batch in which settings differ is refused."""


def render() -> str:
    """The whole page."""
    sections = [_INTRODUCTION.strip(), *map(_section, INBOUND), _FURTHER]
    sections += [_provider(target) for target in targets()]
    return "\n\n".join([*sections, _embeddings()])


def targets() -> list[Dialect]:
    """The dialects that requests are translated to, each once."""
    found = {d.name: d for inbound in INBOUND for d in inbound.targets}
    return list(found.values())


def _section(inbound: Inbound) -> str:
    columns = [
        f":ref:`{t.fidelity.title} <{_label(t)}>`" if _notes(t) else t.fidelity.title
        for t in inbound.targets
    ]
    rows = [
        [
            _asked(feature, inbound.words),
            *(_fate(target, feature) for target in inbound.targets),
        ]
        for feature in inbound.asks
    ]
    never = ["No translation takes:", "", *(f"* {what}" for what in inbound.refused)]
    return "\n".join(
        [
            *_titled(inbound.title, "-"),
            *_table(["Asked for", *columns], rows, 34),
            "",
            *_ended(never),
        ]
    )


def _asked(feature: Feature, words: Mapping[Feature, str]) -> str:
    own = words.get(feature)
    name = _named(feature.value)
    return name if own is None else f"{name} (``{own}``)"


def _fate(target: Dialect, feature: Feature) -> str:
    verdict = target.fidelity.verdicts[feature]
    word = verdict.fate.value
    if verdict.note:
        return f":ref:`{word} <{_label(target)}>`"
    return word


def _label(target: Dialect) -> str:
    return f"fidelity-{target.name}"


def _notes(target: Dialect) -> list[tuple[Feature, Verdict]]:
    """What there is more to say about, of all that a guest can ask for."""
    asked = {
        feature
        for inbound in INBOUND
        if target in inbound.targets
        for feature in inbound.asks
    }
    verdicts = target.fidelity.verdicts
    return [(f, verdicts[f]) for f in Feature if f in asked and verdicts[f].note]


def _provider(target: Dialect) -> str:
    rows = [
        [_named(feature.value), verdict.fate.value, verdict.note]
        for feature, verdict in _notes(target)
    ]
    return "\n".join(
        [
            f".. _{_label(target)}:",
            "",
            *_titled(target.fidelity.title, "~"),
            *_table(["Asked for", "Fate", "How or why"], rows, 30, 12, 58),
        ]
    )


def _embeddings() -> str:
    names = {name: None for verdicts in EMBEDDINGS.values() for name in verdicts}
    rows = [
        [_named(name), *(_said(verdicts[name]) for verdicts in EMBEDDINGS.values())]
        for name in names
    ]
    return "\n".join([_EMBEDDINGS, "", *_table(["Asked for", *EMBEDDINGS], rows, 25)])


def _titled(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]


def _ended(lines: Sequence[str]) -> list[str]:
    return [line + ";" if line.startswith("* ") else line for line in lines[:-1]] + [
        lines[-1] + "."
    ]


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *widths: int
) -> list[str]:
    """:param widths: of the first columns, in percent; the others share the rest."""
    left = len(heads) - len(widths)
    shares = [*widths, *[(100 - sum(widths)) // max(left, 1)] * left]
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        f"   :widths: {' '.join(map(str, shares))}",
        "",
    ]
    for row in [heads, *rows]:
        for mark, cell in zip("*" + " " * (len(row) - 1), row, strict=True):
            lines.append(f"   {mark} - {cell}")
    return lines


def _said(verdict: Verdict) -> str:
    fate = verdict.fate.value
    return f"{fate}: {verdict.note}" if verdict.note else fate


def _named(name: str) -> str:
    return name if " " in name else f"``{name}``"


if __name__ == "__main__":
    sys.stdout.write(render() + "\n")
