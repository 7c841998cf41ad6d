"""
OpenAI's Responses API as a guest speaks it.

Modelplex itself keeps what a guest stores, so a provider gets requests that stand for
themselves: those that go on from an earlier response have all of it before their own
input. Where the policy has ``server-state``, a response that is not known here is left
to the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import time
from typing import NoReturn

import msgspec
from attrs import define, evolve, field

from modelplex.errors import BadRequest, GatewayError
from modelplex.guests.admitted import Admitted
from modelplex.guests.closed_responses import close
from modelplex.guests.policy import SERVER_STATE, Policy
from modelplex.surface import tool_forms_mcp
from modelplex.surface.answer import Answer
from modelplex.surface.exchanges import Exchanges, Opening, with_tools
from modelplex.surface.inquiry import Inquiry
from modelplex.surface.response_memory import ResponseMemory
from modelplex.wire.asked import Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.responses import history
from modelplex.wire.responses.count_tokens import RESPONSES_COUNT
from modelplex.wire.responses.dialect import RESPONSES
from modelplex.wire.responses.response_out import echoed
from modelplex.wire.responses.retold import retold, retold_whole
from modelplex.wire.responses.stream_out import ResponseStream
from modelplex.wire.responses.tap import ResponsesTap

HEADERS = (b"openai-beta",)
_KEPT = ("completed", "incomplete")


class UnknownResponse(GatewayError):
    """This guest has no such response, or has it no more."""

    kind = "unknown_response"
    status = 404
    should_retry = False


class _Status(msgspec.Struct):
    status: str = ""


@define(eq=False)
class Turn:
    """
    One request for a response: how it is read, and what is remembered of it.

    :ivar owner: who remembers the response if the guest does not want it stored.
    """

    _memory: ResponseMemory
    _policy: Policy
    _owner: object = None
    _body: JsonObject | None = field(default=None, init=False)
    _stores: bool = field(default=True, init=False)
    _told: Mapping[str, bytes] = field(factory=dict, init=False)

    def create(self, request: Inquiry) -> Opening:
        """``POST /v1/responses``."""
        body = open_object(request.body)
        self._stores = body.get("store", bool | None) is not False
        self._told = {
            "store": b"true" if self._stores else b"false",
            "previous_response_id": body.raw("previous_response_id") or b"null",
        }
        opening = with_tools(
            self._opening(body, Operation.CHAT), tool_forms_mcp.responses
        )
        told = {key: msgspec.Raw(value) for key, value in self._told.items()}
        self._body = opening.body
        passing: Callable[..., bytes] = retold if opening.stream else retold_whole
        return evolve(
            opening,
            echo={**echoed(body), **told},
            retold=partial(passing, members=self._told),
        )

    def compact(self, request: Inquiry) -> Opening:
        """``POST /v1/responses/compact``, whose answer is no response."""
        body = open_object(request.body)
        opening = self._opening(body, Operation.COMPACT)
        return evolve(opening, stream=False, close=_close_unstored)

    def count(self, request: Inquiry) -> Opening:
        """``POST /v1/responses/input_tokens``."""
        opening = self._opening(open_object(request.body), Operation.COUNT_TOKENS)
        return evolve(
            opening, stream=False, close=_close_unstored, counting=RESPONSES_COUNT
        )

    def remember(self, answer: Answer) -> None:
        """Keep the response that was answered, if it came to its end."""
        if self._body is None or answer.reply is None:
            return
        reader, encoder = answer.reply.reader, answer.encoder
        if answer.body:
            response = answer.body
        elif isinstance(reader, ResponsesTap):
            response = retold_whole(reader.response, self._told)
        else:
            assert isinstance(encoder, ResponseStream)
            response = encoder.final
        self.keep(response, answer.provider)

    def keep(self, response: bytes, by: str = "") -> None:
        """Keep a response of the provider `by`, unless it failed or is unreadable."""
        assert self._body is not None
        if not self._stores and self._owner is None:
            return
        try:
            status = msgspec.json.decode(response, type=_Status).status
            stored = history.stored(self._body, response)
        except (msgspec.DecodeError, RecursionError, BadRequest):
            return  # of a shape we do not know
        if status in _KEPT and stored.id:
            self._memory.keep(stored, None if self._stores else self._owner, by)

    def _opening(self, body: JsonObject, operation: Operation) -> Opening:
        return Opening(
            operation,
            RESPONSES,
            standing(body, self._memory, self._policy, self._owner),
            body.get("model", str, ""),
            stream=bool(body.get("stream", bool | None)),
            close=close,
            headers=HEADERS,
        )


def standing(
    body: JsonObject, memory: ResponseMemory, policy: Policy, owner: object = None
) -> JsonObject:
    """
    A request with all in it that it refers to.

    :param owner: whose private responses can be referred to as well.
    :raises BadRequest: it refers to what is not known, and the policy does not leave
        that to the provider.
    """
    elsewhere = SERVER_STATE in policy.allow
    previous = body.get("previous_response_id", str | None)
    if previous:
        before = memory.find(previous, owner)
        if before is not None:
            body = open_object(body.splice(history.continued(body, before)))
        elif not elsewhere:
            raise BadRequest(
                f"Previous response with id '{previous[:80]}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
    try:
        changes = history.resolved(body, memory.items(owner))
    except BadRequest as e:
        if not elsewhere or e.code != "item_not_found":
            raise
        return body
    return open_object(body.splice(changes)) if changes else body


def _close_unstored(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """As for a response; but nothing is stored, and ``store`` is no member then."""
    admitted = close(body, model, policy)
    changes = {k: v for k, v in admitted.changes.items() if k != "store"}
    return evolve(admitted, changes=changes)


@define(eq=False)
class Responses:
    """The Responses API of one guest."""

    exchanges: Exchanges
    memory: ResponseMemory
    _now: Callable[[], float] = time

    async def create(self, request: Inquiry, owner: object = None) -> None:
        """Make a response; cancelling it stops all that is done for it."""
        turn = Turn(self.memory, self.exchanges.policy, owner)
        answer = await self.exchanges.answer(request, RESPONSES, turn.create)
        if answer is not None:
            turn.remember(answer)

    async def compact(self, request: Inquiry) -> None:
        """Let a provider make a shorter history of a long one."""
        turn = Turn(self.memory, self.exchanges.policy)

        def opener(request: Inquiry) -> Opening:
            opening = turn.compact(request)
            self._check_able(opening.model, opening.operation)
            return opening

        await self.exchanges.answer(request, RESPONSES, opener)

    async def count(self, request: Inquiry) -> None:
        """Tell how many tokens a request would be."""
        turn = Turn(self.memory, self.exchanges.policy)
        await self.exchanges.answer(request, RESPONSES, turn.count)

    def prepare(self, request: Inquiry, owner: object) -> bytes:
        """
        The stream of a response that has no output, because none was asked for.

        What comes next can go on from it.

        :raises GatewayError: the request would be refused.
        """
        policy = self.exchanges.policy
        turn = Turn(self.memory, policy, owner)
        opening = turn.create(request)
        opening.close(opening.body, opening.model, policy)
        self.exchanges.catalogue.candidates(opening.model, opening.operation, policy)
        created = int(self._now())
        answering = Answering(
            opening.model, created, id=request.request_id, echo=opening.echo
        )
        stream = ResponseStream(answering)
        events = stream.end()
        turn.keep(stream.final)
        return events

    def retrieve(self, id: str, *, stream: bool = False) -> bytes:
        """
        The response `id`.

        :param stream: its events are wanted, which nobody keeps.
        """
        found = self._find(id)
        if stream:
            raise BadRequest(
                f"Response with id '{id[:80]}' cannot be streamed again: it was not "
                "made in the background.",
                param="stream",
            )
        return found.response

    def delete(self, id: str) -> Mapping[str, object]:
        """Forget the response `id`."""
        self._find(id)
        self.memory.forget(id)
        return {"id": id, "object": "response", "deleted": True}

    def cancel(self, id: str) -> NoReturn:
        """Refuse: only what runs in the background can be cancelled this way."""
        self._find(id)
        raise BadRequest("Cannot cancel a synchronous response.")

    def input_items(self, id: str, after: str, limit: str, order: str) -> bytes:
        """A page of what the response `id` was asked with; all as in the query."""
        found = self._find(id)
        if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 9):
            raise BadRequest("limit: an integer is expected", param="limit")
        return history.input_items(
            found,
            after=after,
            limit=int(limit) if limit else history.PAGE,
            order=order or "desc",
        )

    def _check_able(self, model: str, operation: Operation) -> None:
        """Only what is passed on can be what no other API has."""
        policy = self.exchanges.policy
        candidates = self.exchanges.catalogue.candidates(model, None, policy)
        if not any(one.provider.serves(operation) for one in candidates):
            raise BadRequest(
                f"model: {model[:80]!r} cannot do this here; nobody who serves it has "
                f"OpenAI's Responses API",
                param="model",
                code="unsupported_model",
            )

    def _find(self, id: str) -> history.Stored:
        found = self.memory.find(id)
        if found is None:
            raise UnknownResponse(f"Response with id '{id[:80]}' not found.")
        return found
