"""A caller that hears of a server what its guest may have, and no more than fits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from attrs import define, evolve, field

from modelplex.mcp.call_rules import Clean
from modelplex.tools import Caller, Question
from modelplex.wire.jsonrpc import INVALID_PARAMS, RpcError

TOLD = 64 << 10  # bytes of a line of the log, or of a message of progress
ASKED = 1 << 20  # bytes of one question


@define(eq=False)
class CleanCaller:
    """
    Passes on what a server tells and asks during a call, made safe as results are.

    Too long a text is cut and says so. A question is asked whole or not at all, as
    nobody should agree to a part of one; answers go back as they are.

    :param server: whose words they are.
    """

    _caller: Caller
    _server: str
    _clean: Clean
    guest: str = field(init=False)
    request_id: str = field(init=False)
    capabilities: Mapping[str, Any] = field(init=False)
    log_level: str | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._look()

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        said = None if message is None else _cut(self._whole(message))
        self._caller.progressed(progress, total, said)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        name = None if logger is None else _cut(self._whole(logger))
        said = self._whole(data)
        if isinstance(said, str):
            said = _cut(said)
        elif _size(text := _text(said)) > TOLD:
            said = _cut(text)
        self._caller.logged(level, name, said)

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """
        Ask the guest's client; as `Caller.ask`.

        :raises RpcError: also when a question is too large (-32602).
        """
        own: dict[str, str] = {}  # what the server calls them
        asked: dict[str, Question] = {}
        for key, question in questions.items():
            params = self._whole(question.params)
            shown = _free(self._whole(key), own)
            if _size(_text([shown, params])) > ASKED:
                raise RpcError(INVALID_PARAMS, "the question is too large")
            own[shown] = key
            asked[shown] = evolve(question, params=params)
        try:
            answers = await self._caller.ask(asked)
        finally:
            self._look()
        return {own[key]: answer for key, answer in answers.items() if key in own}

    def _look(self) -> None:
        """It may be another request of the same client by now."""
        caller = self._caller
        self.guest, self.request_id = caller.guest, caller.request_id
        self.capabilities, self.log_level = caller.capabilities, caller.log_level

    def _whole(self, value: Any) -> Any:
        # In a list it is no result, of which a part would do.
        [cleaned] = self._clean(self._server, [value])
        return cleaned


def _free(key: str, taken: Mapping[str, str]) -> str:
    """`key`, or one like it that is not taken."""
    numbers = count(2)
    free = key
    while free in taken:
        free = f"{key}-{next(numbers)}"
    return free


def _cut(text: str) -> str:
    size = _size(text)
    if size <= TOLD:
        return text
    # It is safe as a whole already: the cut could have gone through a secret.
    shown = text.encode("utf-8", "surrogatepass")[:TOLD].decode("utf-8", "ignore")
    return f"{shown}\n[cut by modelplex: {TOLD} of {size} bytes shown]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
