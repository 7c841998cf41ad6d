"""One call that may have to wait for answers of its client: what the server calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any, Protocol, TypeAlias

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from modelplex.errors import GatewayError
from modelplex.mcp.asking import answered, check_askable, is_answer, modern
from modelplex.tools import Caller, Question
from modelplex.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, Result, RpcError
from modelplex.wire.mcp.shapes import INPUT_REQUIRED

ROUNDS = 10  # of questions for one call
QUESTIONS = 32  # that are open at a time

Work: TypeAlias = Callable[[Caller], Coroutine[Any, Any, Result]]
"""Makes a call on behalf of a caller."""


@frozen
class Asked:
    """The answer to a request that has to be sent again, with answers."""

    result: Mapping[str, Any]


Step: TypeAlias = Asked | Result | Failure


class Lot(Protocol):
    """Where calls wait."""

    def soon(self, park: Callable[[], None]) -> IDelayedCall | None:
        """Park in a moment, or now; returns the time that is left for it."""

    def keep(self, park: Park) -> str:
        """Wait for the answers to its questions; returns the state for its client."""

    def release(self, park: Park) -> None:
        """Its client has answered, or nobody waits for that any more."""


@define(eq=False)
class _Asking:
    """What the server has asked at once, until all of it is answered."""

    _count: int
    answers: dict[str, Any]
    done: Deferred[Mapping[str, Any]] = field(factory=Deferred)

    @property
    def is_answered(self) -> bool:
        return len(self.answers) >= self._count

    def take(self, key: str, answer: Any) -> None:
        self.answers[key] = answer
        if self.is_answered and not self.done.called:
            self.done.callback(self.answers)

    def fail(self, error: RpcError) -> None:
        if not self.done.called:
            self.done.errback(error)


@frozen
class _Open:
    """One question that is not answered: what the server calls it, and its asking."""

    key: str
    question: Question
    asking: _Asking


@define(eq=False, repr=False)
class Park:
    """
    One call, and the request of its guest that waits for it now, if one does.

    To the server it is the caller.
    """

    _parking: Lot
    id: str
    bound: bytes
    _caller: Caller
    #: What a client that kept no state says to the first questions, by their keys.
    _early: Mapping[str, Any]
    guest: str = field(init=False)
    request_id: str = field(init=False)
    capabilities: Mapping[str, Any] = field(init=False)
    log_level: str | None = field(init=False)
    round: int = 0
    expiry: IDelayedCall | None = None
    _call: Deferred[None] | None = None
    _next: Deferred[Step] | None = None
    _kept: Step | None = None
    _over: bool = False
    _refused: RpcError | None = None
    _open: dict[str, _Open] = field(factory=dict)
    _soon: IDelayedCall | None = None
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._for(self._caller)

    def progressed(
        self, progress: float, total: float | None, message: str | None
    ) -> None:
        if self._next is not None:
            self._caller.progressed(progress, total, message)

    def logged(self, level: str, logger: str | None, data: Any) -> None:
        if self._next is not None:
            self._caller.logged(level, logger, data)

    def begin(self, work: Work) -> Deferred[Step]:
        """Make the call; fires with its result, or with what it asks."""
        step: Deferred[Step] = Deferred()
        self._next = step
        call: Deferred[Result] = Deferred.fromCoroutine(work(self))
        self._call = call.addBoth(self._end)
        return step

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        self._check(questions)
        if self._over:
            raise RpcError(INTERNAL_ERROR, "the call is over")
        if self.round >= ROUNDS or len(self._open) + len(questions) > QUESTIONS:
            raise RpcError(INTERNAL_ERROR, "the server asks too much")
        early, self._early = self._early, {}
        asking = _Asking(len(questions), answered(questions, early))
        for key, question in questions.items():
            if key not in asking.answers:
                self._open[self._free(key)] = _Open(key, question, asking)
        if asking.is_answered:
            return asking.answers
        if self._next is not None and self._soon is None:
            # What the server asks at the same time becomes one round.
            self._soon = self._parking.soon(self._park)
        try:
            return await asking.done
        finally:
            # The server may have taken it back.
            for key, one in list(self._open.items()):
                if one.asking is asking:
                    del self._open[key]

    def answer(self, answers: Mapping[str, Any], caller: Caller) -> Deferred[Step]:
        """
        Go on with `answers` for `caller`; ask again for those that are missing.

        :raises RpcError: they are not answers (-32602); the same round stays open.
        """
        given = {key: one for key, one in self._open.items() if key in answers}
        for key, one in given.items():
            if not is_answer(one.question, answers[key]):
                raise RpcError(
                    INVALID_PARAMS, f"inputResponses: {key[:100]!r} is wrong"
                )
        self._parking.release(self)
        self._for(caller)
        step: Deferred[Step] = Deferred()
        self._next = step
        if self._over:
            self._tell(self._kept)
            return step
        for key in given:
            del self._open[key]
        for key, one in given.items():
            one.asking.take(one.key, answers[key])
        if self._open and self._next is not None and self._soon is None:
            self._park()
        return step

    def drop(self) -> None:
        """Nobody waits any more: cancel the call."""
        self._parking.release(self)
        self._over, self._next, self._kept = True, None, None
        if self._call is not None:
            self._call.cancel()
        self._give_up("the client is gone")

    def _for(self, caller: Caller) -> None:
        """Whatever the call tells or asks is for `caller` now."""
        self._caller, self.guest = caller, caller.guest
        self.request_id = caller.request_id
        self.capabilities, self.log_level = caller.capabilities, caller.log_level

    def _park(self) -> None:
        """Answer the request with all that is asked, and wait."""
        self._soon = None
        if self._next is None or not self._open:
            return
        try:
            if self.round >= ROUNDS:
                raise RpcError(INTERNAL_ERROR, "the client does not answer")
            state = self._parking.keep(self)
        except RpcError as e:
            self._give_up(e.message)
            return
        asked = {key: modern(one.question) for key, one in self._open.items()}
        result = {"resultType": INPUT_REQUIRED, "inputRequests": asked}
        self._tell(Asked({**result, "requestState": state}))

    def _free(self, key: str) -> str:
        """`key`, or one like it that no other open question has."""
        numbers = count(2)
        free = key
        while free in self._open:
            free = f"{key}-{next(numbers)}"
        return free

    def _give_up(self, why: str) -> None:
        """Whoever has asked gets no answer."""
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        self._soon = None
        opened, self._open = list(self._open.values()), {}
        for one in opened:
            one.asking.fail(RpcError(INTERNAL_ERROR, why))

    def _check(self, questions: Mapping[str, Question]) -> None:
        """Refuse what the client cannot be asked; it is told so if the call fails."""
        try:
            check_askable(questions, self.capabilities)
        except RpcError as e:
            self._refused = e
            raise

    def _end(self, result: Result | Failure) -> None:
        if self._refused is not None and _has_failed(result):
            result = Failure(self._refused)
        if self._next is not None:
            self._over = True
            self._give_up("the call is over")
            self._tell(result)
        elif not self._over:
            # Kept for the client, which may come back in time.
            self._over, self._kept = True, result
            self._give_up("the call is over")
        elif isinstance(result, Failure) and not result.check(
            CancelledError, GatewayError
        ):
            self.log.failure("A call that nobody waits for failed", result)

    def _tell(self, step: Step) -> None:
        waiting, self._next = self._next, None
        if waiting is not None and not waiting.called:
            waiting.callback(step)


def _has_failed(result: Result | Failure) -> bool:
    """Whether a call came to nothing, by an error or by what a tool says."""
    if isinstance(result, Failure):
        return result.check(GatewayError) is not None
    return isinstance(result, Mapping) and result.get("isError") is True
