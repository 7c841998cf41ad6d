"""
What a Claude model takes and refuses: asked of the API, or read off its name.

``GET /v1/models/{id}`` answers for most of it; `guess` fills in the rest by the
version in the name, so that a model published tomorrow is treated as the newest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import evolve, frozen

from modelplex.events import JSON

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Every level of effort, rising."""


@frozen
class Abilities:
    """
    What one model takes.

    :ivar max_output: the most `max_tokens` it allows.
    :ivar thinking: the types of ``thinking`` it takes.
    :ivar thinks_unasked: an absent ``thinking`` means that it does think.
    :ivar efforts: the levels of ``output_config.effort`` it takes.
    :ivar sampling: takes temperature, top_p and top_k.
    :ivar forced_tools: takes tool_choice any and tool while it is not thinking.
    :ivar forced_while_thinking: takes them even then.
    :ivar prefill: continues a last message of the assistant.
    :ivar system_in_place: takes messages with role system.
    :ivar structured_outputs: takes ``output_config.format`` and strict tools.
    :ivar tool_name_limit: characters in the name of a tool.
    """

    max_output: int = 128_000
    thinking: frozenset[str] = frozenset({"adaptive"})
    thinks_unasked: bool = True
    efforts: tuple[str, ...] = ("low", "medium", "high")
    sampling: bool = False
    forced_tools: bool = False
    forced_while_thinking: bool = False
    prefill: bool = False
    system_in_place: bool = False
    structured_outputs: bool = True
    tool_name_limit: int = 128


NEWEST = Abilities()
"""What every model of the latest generations takes; also for names not understood."""

_NUMBER = r"(\d{1,2})(?!\d)"  # two digits at most: eight are a date
_NEW = re.compile(rf"claude-([a-z]+)-{_NUMBER}(?:[-.]{_NUMBER})?")
_OLD = re.compile(rf"claude-{_NUMBER}(?:[-.]{_NUMBER})?(?:-([a-z]+))?")


def guess(model: str) -> Abilities:
    """The abilities of `model` by the version in its name."""
    name = model.lower()
    if found := _NEW.search(name):
        return _by_version(found[1], (int(found[2]), int(found[3] or 0)))
    if found := _OLD.search(name):
        return _by_version(found[3] or "", (int(found[1]), int(found[2] or 0)))
    return NEWEST


def _by_version(family: str, version: tuple[int, int]) -> Abilities:
    if version < (4, 6):
        return _budgeted(family, version)
    if version < (5, 0):
        first = version == (4, 6)
        types = {"adaptive", "disabled"} | ({"enabled"} if first else set())
        # xhigh came with 4.7, and max at 4.6 with the large model only.
        efforts = EFFORTS[:3] if first else EFFORTS
        if first and family == "opus":
            efforts = (*efforts, "max")
        return Abilities(
            thinking=frozenset(types),
            thinks_unasked=False,
            efforts=efforts,
            sampling=first,
            forced_tools=True,
            system_in_place=family == "opus" and version >= (4, 8),
        )
    types = {"adaptive"}
    if family == "haiku" or (family in ("opus", "sonnet") and version == (5, 0)):
        types.add("disabled")
    if family == "sonnet" and version >= (5, 5):
        types.add("between_tools")
    return Abilities(
        thinking=frozenset(types),
        efforts=EFFORTS,
        forced_tools=family == "sonnet" and version == (5, 0),
        forced_while_thinking=family == "sonnet" and version == (5, 0),
        system_in_place=True,
    )


def _budgeted(family: str, version: tuple[int, int]) -> Abilities:
    """Models up to 4.5, which think for a budget of tokens or not at all."""
    if version < (3, 5):
        cap = 4096
    elif version < (3, 7):
        cap = 8192
    elif family == "opus" and version < (4, 5):
        cap = 32_000
    else:
        cap = 64_000
    thinks = version >= (3, 7)
    return Abilities(
        max_output=cap,
        thinking=frozenset({"enabled", "disabled"} if thinks else ()),
        thinks_unasked=False,
        efforts=(),
        sampling=True,
        forced_tools=True,
        prefill=True,
        structured_outputs=version >= (4, 5),
        tool_name_limit=64,
    )


def from_model(model: JSON) -> Abilities:
    """
    The abilities that a model object of ``GET /v1/models/{id}`` states.

    Whatever it does not say, or says in a shape not known, is guessed by its id.
    """
    if not isinstance(model, Mapping):
        return NEWEST
    id = model.get("id")
    abilities = guess(id) if isinstance(id, str) else NEWEST
    cap = model.get("max_tokens")
    if isinstance(cap, int) and not isinstance(cap, bool) and cap > 0:
        abilities = evolve(abilities, max_output=cap)
    stated = model.get("capabilities")
    if not isinstance(stated, Mapping):
        return abilities
    thinking = _mapping(_mapping(stated, "thinking"), "types")
    if types := frozenset(t for t in map(str, thinking) if _supported(thinking, t)):
        if "enabled" not in types and "adaptive" not in types:
            types = frozenset()  # it cannot think, and only `disabled` is no error
        abilities = evolve(abilities, thinking=types)
    if effort := _mapping(stated, "effort"):
        efforts = tuple(word for word in EFFORTS if _supported(effort, word))
        abilities = evolve(abilities, efforts=efforts)
    if "structured_outputs" in stated:
        structured = _supported(stated, "structured_outputs")
        abilities = evolve(abilities, structured_outputs=structured)
    return abilities


def _mapping(within: Mapping[str, JSON], key: str) -> Mapping[str, JSON]:
    value = within.get(key)
    return value if isinstance(value, Mapping) else {}


def _supported(within: Mapping[str, JSON], key: str) -> bool:
    value = within.get(key)
    if isinstance(value, Mapping):
        value = value.get("supported")
    return value is True
