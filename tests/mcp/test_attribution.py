"""Whose it is what a legacy server says while some calls wait for their clients."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.effects import Asks, Effect, Logged, Send, Ticket
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.pending import Pending
from modelplex.tools import Question
from modelplex.wire.jsonrpc import Answer, Call, Failure, Note, RpcError

ASK = "elicitation/create"


@define(eq=False)
class Shared:
    """A conversation with an interactive server of the legacy era."""

    session: ClientSession = field(
        factory=lambda: ClientSession(
            Ourselves({}, interactive=True, guest_roots=True), "legacy"
        )
    )
    asked: int = 0

    def __attrs_post_init__(self) -> None:
        (send,) = self.session.begin()
        assert isinstance(send, Send) and isinstance(send.message, Call)
        told = {"protocolVersion": "2025-11-25", "capabilities": {}}
        self.session.receive(Answer(send.message.id, told))

    def call(self, guest: str = "one") -> Ticket:
        ticket = Ticket("tools/call", {"name": "t"}, log_level="debug", guest=guest)
        self.session.call(ticket)
        return ticket

    def ask(self, key: str | None = None, method: str = ASK) -> list[Effect]:
        self.asked += 1
        params = {"_meta": {"modelplex/key": key}} if key is not None else {}
        return self.session.receive(Call(f"q{self.asked}", method, params))

    def parked(self, guest: str = "one") -> tuple[Ticket, Asks]:
        """A call whose client is being asked."""
        ticket = self.call(guest)
        (asks,) = self.ask()
        assert isinstance(asks, Asks) and asks.ticket is ticket
        return ticket, asks

    def log(self) -> list[Ticket]:
        """Whose a line of its log is."""
        told = {"level": "info", "data": "d"}
        found = self.session.receive(Note("notifications/message", told))
        return [one.ticket for one in found if isinstance(one, Logged)]


def test_a_call_that_waits_for_its_client_is_not_what_a_further_one_is_about() -> None:
    server = Shared()
    server.parked()
    running = server.call()
    assert server.log() == [running]
    (asks,) = server.ask()
    assert isinstance(asks, Asks)
    assert asks.ticket is running


def test_a_call_of_another_guest_that_waits_makes_it_doubtful() -> None:
    server = Shared()
    server.parked("one")
    server.call("two")
    assert server.log() == []
    (refused,) = server.ask()
    assert isinstance(refused, Send)
    assert isinstance(refused.message, Failure)


def test_one_that_waits_is_heard_as_long_as_it_is_alone() -> None:
    server = Shared()
    ticket, _ = server.parked("one")
    assert server.log() == [ticket]
    (asks,) = server.ask()
    assert isinstance(asks, Asks)
    assert asks.ticket is ticket


def test_when_all_wait_a_question_is_of_the_one_that_was_asked_last() -> None:
    server = Shared()
    server.parked()
    last, _ = server.parked()
    (asks,) = server.ask()
    assert isinstance(asks, Asks)
    assert asks.ticket is last


def test_when_all_wait_and_are_of_several_guests_nobody_is_asked() -> None:
    server = Shared()
    server.parked("one")
    server.call("two")
    (refused,) = server.ask()
    assert isinstance(refused, Send)
    server.call("one")
    assert server.log() == []


def test_one_that_has_its_answer_runs_again() -> None:
    server = Shared()
    first, asks = server.parked()
    second = server.call()
    assert server.log() == [second]
    server.session.replied(asks, {"request": {}})
    assert server.log() == []
    assert second.id is not None
    server.session.receive(Answer(second.id, {}))
    assert server.log() == [first]


def test_one_that_was_refused_runs_again() -> None:
    server = Shared()
    _, asks = server.parked()
    server.call()
    server.session.refused(asks, RpcError(-1, "no"))
    assert server.log() == []


def test_a_server_may_say_what_its_question_is_called() -> None:
    server = Shared()
    server.call()
    keys: list[Any] = ["name", "", "x" * 64, "x" * 65, None]
    found = [asks for key in keys for asks in server.ask(key)]
    assert [list(asks.questions) for asks in found if isinstance(asks, Asks)] == [
        *(["name"], ["request"], ["x" * 64], ["request"], ["request"])
    ]
    (first, *_) = found
    assert isinstance(first, Asks)
    assert server.session.replied(first, {"name": {"action": "accept"}}) == [
        Send(Answer("q1", {"action": "accept"}))
    ]


def test_a_name_of_a_question_that_is_no_text_is_none() -> None:
    server = Shared()
    server.call()
    for key in (3, ["a"], {"a": 1}, True):
        (asks,) = server.session.receive(
            Call(str(key), ASK, {"_meta": {"modelplex/key": key}})
        )
        assert isinstance(asks, Asks)
        assert list(asks.questions) == ["request"]


def test_the_guest_is_asked_for_roots_when_there_are_none_here() -> None:
    server = Shared()
    ticket = server.call()
    (asks,) = server.ask(method="roots/list")
    assert isinstance(asks, Asks)
    assert asks.ticket is ticket
    assert asks.questions == {"request": Question("roots/list")}


def test_one_that_waited_and_was_given_up_leaves_no_doubt_for_its_own_guest() -> None:
    server = Shared()
    abandoned, _ = server.parked("one")
    server.session.cancel(abandoned, "nobody answers")
    mine = server.call("one")
    assert server.log() == [mine]
    (asks,) = server.ask()
    assert isinstance(asks, Asks)
    assert asks.ticket is mine


def test_one_that_waited_and_was_given_up_is_a_doubt_for_another_guest() -> None:
    server = Shared()
    abandoned, _ = server.parked("one")
    number = abandoned.id
    server.session.cancel(abandoned, "nobody answers")
    other = server.call("two")
    assert server.log() == []
    assert number is not None
    server.session.forget(number)
    assert server.log() == [other]


def test_one_that_ran_and_was_given_up_is_a_doubt_for_its_own_guest_too() -> None:
    server = Shared()
    waits, _ = server.parked("one")
    runs = server.call("one")
    server.session.cancel(waits, "")
    server.session.cancel(runs, "")
    server.call("one")
    assert server.log() == []


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "one", "two"]))))
def test_what_is_remembered_of_the_given_up_is_counted_right(
    steps: list[tuple[int, str]],
) -> None:
    pending, model = Pending(), dict[int, str]()
    pending.put(Ticket("tools/call", {}, guest="one"))
    for number, guest in steps:
        if number in model:
            pending.forget(number)
            del model[number]
        else:
            pending.linger(number, guest)
            model[number] = guest
        doubtful = any(guest != "one" for guest in model.values())
        assert (pending.only() is None) == doubtful


def test_calls_whose_guest_is_not_known_are_not_of_one_guest() -> None:
    server = Shared()
    server.parked("")
    server.call("")
    assert server.log() == []
