"""How much to reason, in the words that one Gemini model takes."""

from __future__ import annotations

from typing import Any

from modelplex.errors import BadRequest
from modelplex.events import ThinkingControl
from modelplex.wire.gemini.abilities import Abilities

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
_LEVEL = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
# What Google's own translation of reasoning_effort gives models of 2.5.
_BUDGET = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_MODES = ("enabled", "adaptive", "disabled", "between_tools")


def thinking_config(
    control: ThinkingControl | None, abilities: Abilities, lost: list[str]
) -> dict[str, Any]:
    """
    The `thinkingConfig` that asks for what `control` does; empty for the usual.

    :raises BadRequest: there is no such effort or mode.
    """
    if control is None:
        return {}
    if control.effort not in (None, *_EFFORTS):
        raise BadRequest(
            f"reasoning_effort: {control.effort!r} is not known",
            param="reasoning_effort",
        )
    if control.mode not in (None, *_MODES):
        raise BadRequest(f"thinking: {control.mode!r} is not known", param="thinking")
    field = "thinking" if control.effort is None else "reasoning_effort"
    quiet = control.mode in ("disabled", "between_tools")
    quiet = quiet or (control.mode is None and control.effort == "none")
    if abilities.budgets is not None:
        config = _budget(control, abilities, quiet)
    elif abilities.levels:
        config = _level(control, abilities, quiet)
    else:
        if not quiet:
            lost.append(field)
        return {}
    if not quiet and control.display != "omitted":
        config["includeThoughts"] = True
    return config


def _budget(
    control: ThinkingControl, abilities: Abilities, quiet: bool
) -> dict[str, Any]:
    """A budget of tokens; -1 leaves it to the model."""
    assert abilities.budgets is not None
    least, most = abilities.budgets
    if quiet:
        return {"thinkingBudget": 0 if abilities.quiet else least}
    budget = control.budget
    if budget is None:
        if control.effort in (None, "none"):
            return {"thinkingBudget": -1} if control.mode else {}
        budget = _BUDGET.get(control.effort or "", most)
    return {"thinkingBudget": max(least, min(budget, most))}


def _level(
    control: ThinkingControl, abilities: Abilities, quiet: bool
) -> dict[str, Any]:
    """The level, or the next lower or higher one that the model has."""
    word = None if control.effort is None else _LEVEL[control.effort]
    if quiet:
        word = "MINIMAL"
    elif word is None and control.budget is not None:
        word = _level_of(control.budget)
    if word is None:
        return {}
    rank = _LEVELS.index(word)
    lower = [level for level in abilities.levels if _LEVELS.index(level) <= rank]
    return {"thinkingLevel": lower[-1] if lower else abilities.levels[0]}


def _level_of(budget: int) -> str:
    if budget < 4096:
        return "LOW"
    return "MEDIUM" if budget < 16_384 else "HIGH"
