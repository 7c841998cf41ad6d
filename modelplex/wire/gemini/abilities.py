"""What a model of the Gemini API takes and refuses, read off its name."""

from __future__ import annotations

import re

from attrs import frozen


@frozen
class Abilities:
    """
    What one model takes.

    :ivar levels: the words of ``thinkingLevel`` it takes, rising; none for a model
        that takes none.
    :ivar budgets: the least and the most ``thinkingBudget`` that is not off or
        automatic, for a model that takes budgets.
    :ivar quiet: its thinking can be switched off with a budget of 0.
    :ivar system: takes a system instruction.
    :ivar forms_with_tools: gives structured output while there are tools.
    :ivar files_in_results: takes files inside of a function response.
    :ivar wants_signatures: refuses the first call of a step without a signature.
    :ivar tool_name_limit: characters in the name of a tool.
    """

    levels: tuple[str, ...] = ("LOW", "MEDIUM", "HIGH")
    budgets: tuple[int, int] | None = None
    quiet: bool = False
    system: bool = True
    forms_with_tools: bool = True
    files_in_results: bool = True
    wants_signatures: bool = True
    tool_name_limit: int = 128


NEWEST = Abilities()
"""What every model of the latest generations takes; also for names not understood."""

_VERSION = re.compile(r"gemini-(\d{1,2})(?!\d)(?:[.-](\d{1,2})(?!\d))?")
_GEMMA = re.compile(r"gemma-([1-3])(?!\d)")


def guess(model: str) -> Abilities:
    """The abilities of `model` by the version in its name."""
    name = model.lower()
    if _GEMMA.search(name):
        return _older((), None, quiet=False, system=False)
    found = _VERSION.search(name)
    if found is None:
        return NEWEST
    version = (int(found[1]), int(found[2] or 0))
    if version < (2, 5):
        return _older((), None, quiet=False)
    if version < (3, 0):
        if "pro" in name:
            return _older((), (128, 32_768), quiet=False)
        least = 512 if "lite" in name else 1
        return _older((), (least, 24_576), quiet=True)
    lowest = () if "pro" in name else ("MINIMAL",)
    highest = ("XHIGH",) if version >= (4, 0) else ()
    return Abilities(levels=(*lowest, *NEWEST.levels, *highest))


def _older(
    levels: tuple[str, ...],
    budgets: tuple[int, int] | None,
    *,
    quiet: bool,
    system: bool = True,
) -> Abilities:
    return Abilities(
        levels,
        budgets,
        quiet,
        system,
        forms_with_tools=False,
        files_in_results=False,
        wants_signatures=False,
        tool_name_limit=64,
    )
