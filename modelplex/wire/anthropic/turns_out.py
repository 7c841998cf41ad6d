"""
A canonical conversation to `system` and `messages`, as strict as Anthropic is.

Guests of other APIs send what those APIs let pass: empty turns, answers without a
question, calls without a result. Each is put right here the same way every time,
because a prompt cache and signed reasoning both depend on identical bytes.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from attrs import define, field, frozen

from modelplex.events import Message, Role, ToolResult
from modelplex.wire.anthropic.abilities import Abilities
from modelplex.wire.anthropic.blocks_out import Block, answered, result, said, told
from modelplex.wire.anthropic.tool_words import plain_id


@define
class Turn:
    """One entry of `messages`."""

    role: str
    content: list[Block] = field(factory=list)

    def wire(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


@frozen
class Talk:
    """
    A conversation that Anthropic takes.

    :ivar lost: fields of the guest that have no effect.
    """

    system: list[Block]
    turns: list[Turn]
    lost: tuple[str, ...]

    def blocks(self) -> list[Block]:
        """Every block in the order of the prompt."""
        return [*self.system, *(b for turn in self.turns for b in turn.content)]


def talk(messages: tuple[Message, ...], abilities: Abilities, thinking: bool) -> Talk:
    """
    Lay `messages` out in turns and put right what Anthropic would refuse.

    :param thinking: the model will think, so a last turn of its own is not continued.
    :raises GatewayError: a part is of a kind that Anthropic does not take.
    """
    lost: list[str] = []
    system, turns = _laid_out(messages, abilities, lost)
    turns = _reasoning_followed(turns, lost)
    turns = _systems_placed(turns, abilities.system_in_place)
    turns = _calls_paired(turns)
    if not turns:
        turns = [_user("Begin.")]
    if turns[0].role == "assistant":
        turns.insert(0, _user("(conversation continues)"))
    if turns[-1].role == "assistant":
        _ended(turns, abilities.prefill and not thinking)
    return Talk(system, turns, tuple(lost))


def _user(text: str) -> Turn:
    return Turn("user", [{"type": "text", "text": text}])


def _laid_out(
    messages: tuple[Message, ...], abilities: Abilities, lost: list[str]
) -> tuple[list[Block], list[Turn]]:
    """The leading system prompt, and turns that alternate; empty ones are left out."""
    system: list[Block] = []
    turns: list[Turn] = []
    leading = True
    for number, message in enumerate(messages):
        where = f"messages[{number}].content"
        role = message.role.value
        match message.role:
            case Role.ASSISTANT:
                limit = abilities.tool_name_limit
                blocks = answered(message.parts, where, lost, limit)
            case Role.TOOL:
                role = "user"
                blocks = [
                    result(part, where, lost)
                    for part in message.parts
                    if isinstance(part, ToolResult)
                ]
            case Role.SYSTEM:
                blocks = told(message.parts, where, lost)
            case _:
                blocks = said(message.parts, where, lost)
        leading = leading and message.role is Role.SYSTEM
        if leading:
            system += blocks
        elif blocks:
            _add(turns, role, blocks)
    return system, turns


def _add(turns: list[Turn], role: str, blocks: list[Block]) -> None:
    """Append to the last turn if it is of the same role, else begin a new one."""
    if not turns or turns[-1].role != role:
        turns.append(Turn(role))
    turns[-1].content += blocks


def _reasoning_followed(turns: list[Turn], lost: list[str]) -> list[Turn]:
    """No turn of the assistant ends with reasoning, which Anthropic refuses."""
    kept: list[Turn] = []
    for turn in turns:
        content = turn.content
        while content and content[-1]["type"] in ("thinking", "redacted_thinking"):
            sealed = content.pop()["type"] == "redacted_thinking"
            lost.append("reasoning_details" if sealed else "reasoning_content")
        if content:
            _add(kept, turn.role, content)
    return kept


def _systems_placed(turns: list[Turn], in_place: bool) -> list[Turn]:
    """
    System turns only where the API takes them; elsewhere the user's turn says it.

    One must follow the user and be followed by the assistant or nothing.
    """
    placed: list[Turn] = []
    for turn, following in pairwise([*turns, None]):
        assert turn is not None
        if turn.role != "system":
            _add(placed, turn.role, turn.content)
            continue
        follows_user = bool(placed) and placed[-1].role == "user"
        last = following is None or following.role == "assistant"
        if in_place and follows_user and last:
            placed.append(turn)
        else:
            _add(placed, "user", [_reminder(block) for block in turn.content])
    return placed


def _reminder(block: Block) -> Block:
    text = f"<system-reminder>\n{block['text']}\n</system-reminder>"
    return {**block, "text": text}


def _calls_paired(turns: list[Turn]) -> list[Turn]:
    """Every call with exactly one result, first in the user's next turn."""
    paired: list[Turn] = []
    names = _Names()
    waiting = _Waiting([])
    for turn in turns:
        if turn.role == "assistant":
            paired.append(turn)
            waiting = _Waiting(_renamed(turn, names))
            continue
        results, rest = [], []
        for block in turn.content:
            if block["type"] != "tool_result":
                rest.append(block)
            elif (id := waiting.claim(block["tool_use_id"])) is not None:
                results.append({**block, "tool_use_id": id})
            else:
                rest += _orphan(block)
        results += [_no_result(id) for id in waiting.unanswered]
        waiting = _Waiting([])
        paired.append(Turn(turn.role, results + rest))
    if waiting.unanswered:
        left = [_no_result(id) for id in waiting.unanswered]
        paired.append(Turn("user", left))
    return paired


@define(eq=False)
class _Names:
    """
    Ids that no two calls share, in one step each, however many a guest repeats.

    :ivar numbers: the last number given to ids that begin alike.
    """

    used: set[str] = field(factory=set)
    numbers: dict[str, int] = field(factory=dict)

    def unique(self, plain: str) -> str:
        """`plain`, or `plain` with a number."""
        start, id = plain[:56], plain
        while id in self.used:
            self.numbers[start] = self.numbers.get(start, 1) + 1
            id = f"{start}_{self.numbers[start]}"
        self.used.add(id)
        return id


class _Waiting:
    """The calls of one turn that have no result yet, in order."""

    def __init__(self, calls: list[tuple[str, str]]) -> None:
        """:param calls: (the guest's id, ours) pairs."""
        self.unanswered = dict.fromkeys(ours for _, ours in calls)
        self._ours: dict[str, deque[str]] = {}
        for theirs, ours in calls:
            self._ours.setdefault(theirs, deque()).append(ours)

    def claim(self, call_id: str) -> str | None:
        """Our id of the first unanswered call that the guest calls `call_id`."""
        left = self._ours.get(call_id)
        if not left:
            return None
        ours = left.popleft()
        del self.unanswered[ours]
        return ours


def _renamed(turn: Turn, names: _Names) -> list[tuple[str, str]]:
    """Give each call of `turn` an id that the API takes and no other call has."""
    calls: list[tuple[str, str]] = []
    for block in turn.content:
        if block["type"] == "tool_use":
            id = names.unique(plain_id(block["id"]))
            calls.append((block["id"], id))
            block["id"] = id
    return calls


def _orphan(block: Block) -> list[Block]:
    """The answer to a call that was never made, as text."""
    kind = "error" if block.get("is_error") else "result"
    intro = f"({kind} of the tool call {block['tool_use_id'] or 'without an id'})"
    return [{"type": "text", "text": intro}, *block.get("content", ())]


def _no_result(id: str) -> Block:
    text = {"type": "text", "text": "(no result)"}
    return {
        "type": "tool_result",
        "tool_use_id": id,
        "content": [text],
        "is_error": True,
    }


def _ended(turns: list[Turn], prefill: bool) -> None:
    """
    A last turn of the assistant, continued if the model can, else asked for.

    White space at the end of a prefill is refused.
    """
    last = turns[-1].content[-1]
    if prefill and last["type"] == "text":
        last["text"] = last["text"].rstrip()
    else:
        turns.append(_user("Continue."))
