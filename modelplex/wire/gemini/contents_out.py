"""
A canonical conversation to `systemInstruction` and `contents`, as strict as Gemini.

Guests of other APIs send what those APIs let pass: empty turns, answers without a
question, calls without a result. Each is put right here the same way every time,
because a prompt cache and signed reasoning both depend on identical bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from attrs import define, field

from modelplex.events import Message, Role, ToolResult
from modelplex.wire.gemini.abilities import Abilities
from modelplex.wire.gemini.parts_out import (
    Answered,
    Block,
    answered,
    result,
    said,
    text,
    told,
)


@define
class Talk:
    """
    A conversation that Gemini takes.

    :ivar waiting: calls without a result yet, as (the guest's id, ours, name).
    :ivar open: how many calls of each id of the guest have no result.
    :ivar results: answers that were not yet placed, by the guest's id of the call.
    :ivar used: our ids, each with how many others were made of it.
    :ivar lost: fields of the guest that have no effect.
    """

    abilities: Abilities
    system: list[Block] = field(factory=list)
    contents: list[dict[str, Any]] = field(factory=list)
    lost: list[str] = field(factory=list)
    waiting: list[tuple[str, str, str]] = field(factory=list)
    open: Counter[str] = field(factory=Counter)
    results: dict[str, deque[Answered]] = field(factory=dict)
    used: dict[str, int] = field(factory=dict)

    def lay_out(self, messages: tuple[Message, ...]) -> None:
        leading = True
        for number, message in enumerate(messages):
            where = f"messages[{number}].content"
            leading = leading and message.role is Role.SYSTEM
            match message.role:
                case Role.SYSTEM:
                    self._system(told(message.parts, where), leading)
                case Role.USER:
                    self._add("user", said(message.parts, where))
                case Role.ASSISTANT:
                    self._model(message, where)
                case _:
                    found = [p for p in message.parts if isinstance(p, ToolResult)]
                    for part in found:
                        self._result(part, where)
        self._settle()
        if not self.contents:
            self._add("user", text("Begin."))

    def _system(self, blocks: list[Block], leading: bool) -> None:
        if leading and self.abilities.system:
            self.system += blocks
        else:
            said = [{"text": f"[system]: {block['text']}"} for block in blocks]
            self._add("user", said)

    def _model(self, message: Message, where: str) -> None:
        if self.results or (self.contents and self.contents[-1]["role"] == "user"):
            self._settle()  # else it goes on where the last message ended
        blocks = answered(message.parts, where, self.lost, self.abilities)
        if not blocks:
            return
        if not self.contents:
            self._add("user", text("(conversation continues)"))
        for block in blocks:
            if (call := block.get("functionCall")) is not None:
                id = self._fresh(call["id"])
                self.waiting.append((call["id"], id, call["name"]))
                self.open[call["id"]] += 1
                call["id"] = id
        self._add("model", blocks)

    def _fresh(self, id: str) -> str:
        """`id`, or the same with a number if another call has it."""
        fresh = plain = id or "call"
        while fresh in self.used:
            self.used[plain] += 1
            fresh = f"{plain}_{self.used[plain]}"
        self.used[fresh] = 1
        return fresh

    def _result(self, part: ToolResult, where: str) -> None:
        found = result(part, where, self.abilities)
        if self.open[part.call_id] > 0:
            self.open[part.call_id] -= 1
            self.results.setdefault(part.call_id, deque()).append(found)
            return
        kind = "error" if part.is_error else "result"
        intro = f"({kind} of the tool call {part.call_id or 'without an id'})"
        files = found.response.get("parts", found.beside)
        self._add("user", [{"text": intro}, *text(found.text), *files])

    def _settle(self) -> None:
        """
        Give every call its response, in the order of the calls.

        Gemini docs: as many responses as there were calls, in the very next turn.
        They stand before whatever the user said meanwhile.
        """
        if not self.waiting:
            return
        blocks: list[Block] = []
        beside: list[Block] = []
        for theirs, ours, name in self.waiting:
            answer: Block = {"response": {"error": "(no result)"}}
            if answers := self.results.get(theirs):
                found = answers.popleft()
                answer = found.response
                beside += found.beside
            blocks.append({"functionResponse": {"id": ours, "name": name, **answer}})
        self.waiting.clear()
        self.results.clear()
        self.open.clear()
        last = self.contents[-1]
        if last["role"] == "user":
            last["parts"] = [*blocks, *beside, *last["parts"]]
        else:
            self.contents.append({"role": "user", "parts": [*blocks, *beside]})

    def _add(self, role: str, blocks: list[Block]) -> None:
        """Append to the last content if it is of the same role, else begin one."""
        if not blocks:
            return
        if not self.contents or self.contents[-1]["role"] != role:
            self.contents.append({"role": role, "parts": []})
        self.contents[-1]["parts"] += blocks


def talk(messages: tuple[Message, ...], abilities: Abilities) -> Talk:
    """
    Lay `messages` out in contents and put right what Gemini would refuse.

    :raises GatewayError: a part is of a kind that Gemini does not take.
    """
    laid = Talk(abilities)
    laid.lay_out(messages)
    return laid
