"""How much to reason, in the words that one Claude model takes."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from attrs import evolve, frozen

from modelplex.errors import BadRequest
from modelplex.events import (
    Part,
    RedactedThinking,
    Request,
    Role,
    Thinking,
    ThinkingControl,
    ToolCall,
)
from modelplex.wire.anthropic.abilities import EFFORTS, Abilities
from modelplex.wire.anthropic.words import is_foreign

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 16_384}
_MODES = ("enabled", "adaptive", "disabled", "between_tools")
_LARGEST = 32_000  # tokens, for xhigh and max
_LEAST = 1024  # tokens; Anthropic takes no smaller budget


@frozen
class Plan:
    """
    What a request says about reasoning.

    :ivar thinking: the member of that name, if any.
    :ivar effort: ``output_config.effort``, if any.
    :ivar active: the model will think, so it can be neither sampled nor forced.
    :ivar lost: fields of the guest that have no effect.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    active: bool = False
    lost: tuple[str, ...] = ()


def plan(request: Request, abilities: Abilities, max_tokens: int) -> Plan:
    """
    What to say so that the model reasons as `request` asks.

    :param max_tokens: of the visible answer and the reasoning together; a budget
        that does not fit in is made smaller, and without room there is none.
    :raises BadRequest: there is no such effort or mode.
    """
    control = request.thinking
    if control is None:
        return Plan(active=abilities.thinks_unasked)
    if control.effort not in (None, "none", "minimal", *EFFORTS):
        raise BadRequest(
            f"reasoning_effort: {control.effort!r} is not known",
            param="reasoning_effort",
        )
    if control.mode not in (None, *_MODES):
        raise BadRequest(f"thinking: {control.mode!r} is not known", param="thinking")
    if _reasoning_missing(request):
        if "adaptive" not in abilities.thinking:
            return Plan(lost=(_field(control),))
        # Only a budget demands the reasoning before.
        abilities = evolve(abilities, thinking=abilities.thinking - {"enabled"})
    quiet = control.mode in ("disabled", "between_tools")
    if quiet or (control.mode is None and control.effort == "none"):
        return _quiet(control, abilities)
    return _loud(control, abilities, max_tokens)


def _loud(control: ThinkingControl, abilities: Abilities, max_tokens: int) -> Plan:
    """Reasoning, for a budget of tokens or as much as the model finds right."""
    types, budget, effort = abilities.thinking, control.budget, control.effort
    shown = {"display": control.display or "summarized"}
    if "adaptive" in types and not (control.mode == "enabled" and "enabled" in types):
        if effort is None and budget is not None:
            effort = _effort_of(budget)
        nearest = _nearest(effort, abilities.efforts)
        return Plan({"type": "adaptive", **shown}, nearest, active=True)
    if "enabled" in types:
        said = None
        if budget is None:
            budget = _BUDGETS.get(effort or "medium", _LARGEST)
        else:
            said = _nearest(effort, abilities.efforts)
        budget = max(_LEAST, min(budget, max_tokens // 2))
        if budget < max_tokens:
            thinking = {"type": "enabled", "budget_tokens": budget, **shown}
            return Plan(thinking, said, active=True)
    return Plan(lost=(_field(control),))


def _reasoning_missing(request: Request) -> bool:
    """
    Whether the turn that goes on now began without the reasoning that led to it.

    A model that thinks for a budget refuses to go on from there: "Expected
    `thinking`, but found `tool_use`". A turn is all that was said and called since a
    user has last said something.
    """
    began: list[Part] = []
    backwards = reversed(request.messages)
    for said, group in groupby(backwards, lambda m: m.role is Role.ASSISTANT):
        messages = list(group)
        if said:
            began = [part for m in reversed(messages) for part in m.parts]
        elif not any(message.role is Role.TOOL for message in messages):
            break
    called = any(isinstance(part, ToolCall) for part in began)
    first = next((part for part in began if not _is_lost(part)), None)
    return called and not (first is not None and _is_proven(first))


def _is_lost(part: Part) -> bool:
    """Whether this is reasoning that the API is not sent."""
    thought = isinstance(part, (Thinking, RedactedThinking))
    return thought and not _is_proven(part)


def _is_proven(part: Part) -> bool:
    """Whether this is reasoning that the API will know as its own."""
    match part:
        case RedactedThinking():
            return not is_foreign(part.content)
        case Thinking():
            return bool(part.signature) and not is_foreign(part.signature or "")
        case _:
            return False


def _quiet(control: ThinkingControl, abilities: Abilities) -> Plan:
    """The least reasoning that the model allows."""
    effort = None if control.effort == "none" else control.effort
    if control.mode == "between_tools" and "between_tools" in abilities.thinking:
        return Plan({"type": "between_tools"}, _nearest(effort, abilities.efforts))
    if not abilities.thinks_unasked:
        return Plan(effort=_nearest(effort, abilities.efforts))
    # With thinking off, some models take no effort above high.
    at_most_high = tuple(e for e in abilities.efforts if e in EFFORTS[:3])
    for word in ("disabled", "between_tools"):
        if word in abilities.thinking:
            return Plan({"type": word}, _nearest(effort, at_most_high))
    lowest = _nearest("low", abilities.efforts)
    return Plan(effort=lowest, active=True, lost=(_field(control),))


def _field(control: ThinkingControl) -> str:
    return "thinking" if control.effort is None else "reasoning_effort"


def _effort_of(budget: int) -> str:
    if budget < 4096:
        return "low"
    return "medium" if budget < 16_384 else "high"


def _nearest(effort: str | None, levels: tuple[str, ...]) -> str | None:
    """The level that is `effort`, else the next lower, else the next higher one."""
    if effort is None or not levels:
        return None
    rank = EFFORTS.index(effort) if effort in EFFORTS else 0  # minimal is below low
    lower = [level for level in levels if EFFORTS.index(level) <= rank]
    return lower[-1] if lower else levels[0]
