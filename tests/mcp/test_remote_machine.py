"""Whatever a remote server does, every call ends once and nothing is left of it."""

from __future__ import annotations

from typing import Any

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.testing.memory.remote import RESULT, TOOL, URL, Asked, Guest, Played
from modelplex.tools import ToolServerError
from modelplex.wire.jsonrpc import RpcError

QUESTION = {"method": "elicitation/create", "params": {"message": "?"}}
GOOD: dict[str, Any] = {
    "server/discover": {
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {"listChanged": True}},
    },
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": True}},
    },
    "tools/list": {"tools": [TOOL]},
}
RESULTS = st.sampled_from(
    [
        RESULT,
        {},
        {"resultType": "strange"},
        {"resultType": "input_required", "inputRequests": {"a": QUESTION}},
        {"resultType": "input_required", "requestState": "s"},
        {"resultType": "input_required"},
    ]
)
STATUSES = st.sampled_from([200, 202, 204, 307, 400, 401, 404, 405, 500])
BODIES = st.sampled_from([b"", b"{", b"[]", b"<p>", b'{"jsonrpc":"2.0","id":1}'])
LOCATIONS = st.sampled_from(["/mcp", "/other", "https://evil.example/", "\udcff"])
PIECES = st.sampled_from(
    [
        *(b"data: {}\n\n", b"id: 7\n\n", b"retry: 5\n\n", b": x\n\n", b"data: {"),
        *(b"event: endpoint\ndata: /messages\n\n", b"event: endpoint\ndata: //x\n\n"),
    ]
)


@define(eq=False)
class Waiting:
    """One call, and how it ended."""

    calling: Deferred[Any]
    told: list[Any]


class Remote(RuleBasedStateMachine):
    """Calls, and a server that does anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.played: Played | None = None
        self.calls: list[Waiting] = []
        self.streams: list[Asked] = []
        self.questions: list[Deferred[Any]] = []

    @initialize(era=st.sampled_from(["", "modern", "legacy"]))
    def met(self, era: str) -> None:
        played = self.played = Played(
            RemoteSettings("r", URL, interactive=True, concurrency=3, queue=3)
        )
        if era:
            Deferred.fromCoroutine(played.server.refresh())
        if era == "modern":
            played.meet_modern(prompts={"listChanged": True})
            played.asked("prompts/list").answer({})
        elif era == "legacy":
            stream = played.meet_legacy(listens=True)
            assert stream is not None
            self.streams.append(stream)

    @property
    def known(self) -> Played:
        assert self.played is not None
        return self.played

    def taken(self, data: st.DataObject) -> Asked:
        pending = self.waiting()
        asked = data.draw(st.sampled_from(pending))
        self.known.pending.remove(asked)
        return asked

    def waiting(self) -> list[Asked]:
        if self.played is None:
            return []
        self.played.turn()
        return [one for one in self.played.pending if one.connection.open]

    def listening(self) -> list[Asked]:
        return [one for one in self.streams if one.connection.open]

    @rule(method=st.sampled_from(["tools/call", "prompts/get", "resources/subscribe"]))
    def call(self, method: str) -> None:
        asking: Deferred[Any] = Deferred()
        self.questions.append(asking)
        guest = Guest(answers={"elicitation/create": asking})
        named = {"uri": "x://1"} if method == "resources/subscribe" else {"name": "p"}
        params = {} if method == "tools/call" else named
        self.calls.append(Waiting(*self.known.call(guest, method, **params)))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.calls)).calling.cancel()

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), streamed=st.booleans(), result=RESULTS)
    def answer(self, data: st.DataObject, streamed: bool, result: Any) -> None:
        asked = self.taken(data)
        if "id" not in asked.message or "method" not in asked.message:
            asked.status(202)
            return
        result = GOOD.get(asked.what, result)
        if streamed:
            asked.begin()
            asked.result(result)
        else:
            asked.answer(result, mcp_session_id="S")

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), code=st.sampled_from([-32601, -32020, -32022, -32000]))
    def fail(self, data: st.DataObject, code: int) -> None:
        status = data.draw(st.sampled_from([200, 400, 404]))
        self.taken(data).fail(code, status)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), status=STATUSES, body=BODIES, location=LOCATIONS)
    def refuse(
        self, data: st.DataObject, status: int, body: bytes, location: str
    ) -> None:
        kind = data.draw(st.sampled_from(["application/json", "text/html"]))
        self.taken(data).status(
            status,
            body,
            location=location.encode("latin-1", "replace").decode(),
            content_type=kind,
        )

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        self.taken(data).connection.cut()

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def stream(self, data: st.DataObject) -> None:
        asked = self.taken(data)
        asked.begin()
        self.streams.append(asked)

    @precondition(lambda self: self.listening())
    @rule(data=st.data(), piece=PIECES)
    def say(self, data: st.DataObject, piece: bytes) -> None:
        data.draw(st.sampled_from(self.listening())).connection.chunk(piece)

    @precondition(lambda self: self.listening())
    @rule(data=st.data(), number=st.integers(1, 2))
    def ask(self, data: st.DataObject, number: int) -> None:
        asked = data.draw(st.sampled_from(self.listening()))
        asked.say(**QUESTION, id=number)

    @precondition(lambda self: self.listening())
    @rule(data=st.data(), kind=st.sampled_from(["tools/list_changed", "progress"]))
    def note(self, data: st.DataObject, kind: str) -> None:
        asked = data.draw(st.sampled_from(self.listening()))
        told = {"progressToken": asked.message.get("id", 1), "progress": 1}
        asked.say(method=f"notifications/{kind}", params=told)

    @precondition(lambda self: self.listening())
    @rule(data=st.data(), answered=st.booleans())
    def finish(self, data: st.DataObject, answered: bool) -> None:
        asked = data.draw(st.sampled_from(self.listening()))
        self.streams.remove(asked)
        if answered and "id" in asked.message:
            asked.result(RESULT)
        else:
            asked.connection.finish()

    @precondition(lambda self: any(not one.called for one in self.questions))
    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        asking = data.draw(
            st.sampled_from([one for one in self.questions if not one.called])
        )
        asking.callback({"action": "decline"})

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 30.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.known.turn()
        self.known.reactor.advance(seconds)

    def teardown(self) -> None:
        if self.played is None:
            return
        self.played.stop()
        for one in self.calls:
            assert len(one.told) == 1, "a call has not ended"
            [told] = one.told
            if isinstance(told, Failure):
                told.trap(ToolServerError, RpcError, CancelledError)
            else:
                assert isinstance(told, dict)


TestRemote = Remote.TestCase
TestRemote.settings = settings(max_examples=150, stateful_step_count=40)
