"""A Modelplex in memory with a tool server, before upstreams of every dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred

from modelplex.config import Provider
from modelplex.events import (
    Event,
    Finished,
    FinishReason,
    Request,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from modelplex.guests.policy import Policy
from modelplex.guests.tools import ServerGrants, ToolPolicy
from modelplex.mcp.approvals import Answer, Approved, Asking
from modelplex.mcp.call_rules import CallRules, Made, Wanted
from modelplex.mcp.calls import Calls
from modelplex.mcp.for_models import ModelTools
from modelplex.mcp.limits import Limit, Limits
from modelplex.mcp.registry import Registry
from modelplex.routing.catalogue import Catalogue
from modelplex.routing.failover import Failover
from modelplex.surface.exchanges import Exchanges
from modelplex.surface.paths import route
from modelplex.surface.relays import Relays
from modelplex.surface.root import GuestRoot, render_error
from modelplex.surface.site import GuestSite
from modelplex.surface.tool_calls import Bounds
from modelplex.surface.tool_rounds import ToolRounds
from modelplex.testing.fakes.tool_server import FakeToolServer, tool
from modelplex.testing.memory.guest import Guest
from modelplex.testing.memory.house import KEEPALIVE, House, upstream
from modelplex.testing.memory.upstream import Connection
from modelplex.tools import Listing
from modelplex.wire.anthropic.dialect import ANTHROPIC
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.gemini.dialect import GEMINI
from modelplex.wire.jsonobject import open_object
from modelplex.wire.ollama.dialect import OLLAMA
from modelplex.wire.openai.dialect import OPENAI_CHAT
from modelplex.wire.responses.dialect import RESPONSES

UPSTREAMS: Mapping[str, tuple[dict[str, Any], Dialect]] = {
    "openai": ({"type": "openai"}, OPENAI_CHAT),
    "responses": ({"type": "openai", "api": "responses"}, RESPONSES),
    "anthropic": ({"type": "anthropic"}, ANTHROPIC),
    "gemini": ({"type": "gemini"}, GEMINI),
    "ollama": ({"type": "ollama"}, OLLAMA),
}
LISTING = Listing(tools=(tool("read"), tool("write"), tool("secret"), tool("odd name")))
USAGE = Usage(input_tokens=10, output_tokens=3)
YES = Approved(Asking("", "", "", "", "", {}, "", ""))


@define(eq=False)
class ToolRoom:
    """
    A guest with the tools ``fs__read``, ``fs__write`` (ask first) and ``fs__odd_name``.

    :ivar kind: of the upstreams, a key of `UPSTREAMS`.
    :ivar answer: of the operator to calls that need one.
    """

    kind: str = "openai"
    bounds: Bounds = field(factory=Bounds)
    upstreams: int = 1
    answer: Answer | Deferred[Answer] = YES
    server: FakeToolServer = field(factory=lambda: FakeToolServer("fs", LISTING))
    made: list[Made] = field(factory=list)
    house: House = field(init=False)
    registry: Registry = field(init=False)
    catalogue: Catalogue = field(init=False)
    rounds: ToolRounds = field(init=False)
    posts: list[bytes] = field(factory=list)
    waiting: list[Connection] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        members, _ = UPSTREAMS[self.kind]
        providers: tuple[Provider, ...] = tuple(
            upstream(f"up{number}", priority=number, **members)
            for number in range(1, self.upstreams + 1)
        )
        self.house = House(providers)
        clock = self.house.reactor
        policy = ToolPolicy(
            "default",
            ask=("fs__write",),
            servers={"fs": ServerGrants(deny=("secret",))},
        )
        self.registry = Registry([self.server], clock)
        calls = Calls(
            CallRules(approve=self._approve, record=self._record),
            Limits(lambda server, name: Limit(), clock),
            clock,
        )
        graph = self.house.graph
        failover = Failover(graph.health, clock)
        tools = ModelTools(self.registry.view(policy), calls)
        self.rounds = ToolRounds(tools, failover, clock, self.bounds)
        self.catalogue = Catalogue(graph.table, clock)
        exchanges = Exchanges(
            Policy("default"),
            self.catalogue,
            failover,
            clock,
            KEEPALIVE,
            rounds=self.rounds,
        )
        relays = Relays(Policy("default"), self.catalogue, failover, clock)
        self.house.site = GuestSite(
            GuestRoot(exchanges, relays).resource(),
            limits=self.house.limits,
            reactor=clock,
            render_error=render_error,
            route=route,
        )

    @property
    def dialect(self) -> Dialect:
        """What the upstreams speak."""
        return UPSTREAMS[self.kind][1]

    async def _approve(self, wanted: Wanted) -> Answer:
        answer = self.answer
        return await answer if isinstance(answer, Deferred) else answer

    def _record(self, made: Made) -> str:
        self.made.append(made)
        return str(len(self.made))

    # --- the guest

    def post(self, target: str, body: object, *headers: str) -> Guest:
        """Ask as a guest, over a new connection."""
        guest = self.house.guest()
        guest.post(target, body, *headers)
        self.turn()
        return guest

    # --- the upstreams

    def turn(self) -> None:
        """Let everything happen that is due, connections included."""
        for _ in range(4):
            self.house.turn()
            while self.house.upstreams.waiting():
                self.house.upstreams.connections.append(
                    self.house.upstreams.waiting()[0].accept()
                )
                self.house.turn()
            for connection in self.house.upstreams.open:
                for request in connection.requests():
                    if request.method == "GET":  # about the model's abilities
                        connection.answer(b"{}", 404)
                    else:
                        self.posts.append(request.body)
                        self.waiting.append(connection)
            self.house.turn()

    def heard(self, number: int = -1) -> Request:
        """What an upstream was asked, in no dialect."""
        body = open_object(self.posts[number])
        if self.kind == "gemini":
            body = open_object(body.splice({"model": b'"m"'}))
        return self.dialect.decode_request(body)

    def begin(self, *events: Event) -> Connection:
        """Begin the answer to the latest request."""
        connection = self.waiting.pop()
        connection.begin(content_type=self.dialect.media_type.decode())
        encoder = self.dialect.encoder(Answering("m", 1, True, "id_1"))
        data = b"".join(map(encoder.encode, events))
        if data:
            connection.chunk(data)
        self.turn()
        return connection

    def says(self, *events: Event, finish: FinishReason = FinishReason.STOP) -> None:
        """Give a whole answer to the latest request."""
        connection = self.waiting.pop()
        connection.begin(content_type=self.dialect.media_type.decode())
        encoder = self.dialect.encoder(Answering("m", 1, True, "id_1"))
        told = [Started("id_1", "m"), *events, Finished(finish), UsageReported(USAGE)]
        data = b"".join(map(encoder.encode, told)) + encoder.end()
        connection.chunk(data)
        connection.finish()
        self.turn()

    def calls(self, *names: str, text: str = "", **arguments: Any) -> None:
        """Answer with a call of each of `names`, after some `text`."""
        said: list[Event] = [TextDelta(text)] if text else []
        for number, name in enumerate(names):
            written = msgspec.json.encode(arguments).decode()
            said.append(ToolCallStarted(number, f"call_{number}_{name[-4:]}", name))
            said.append(ToolCallDelta(number, written))
        self.says(*said, finish=FinishReason.TOOL_CALLS)

    def nothing_is_left(self) -> None:
        """Fail unless everything that was begun has ended."""
        self.house.turn()
        for one in self.house.guests:
            one.leave()
        self.turn()
        stopping = Deferred.fromCoroutine(self.registry.stop())
        assert stopping.called and self.server.running == 0
        self.house.nothing_is_left()


def json_of(body: bytes) -> Any:
    """A whole answer."""
    return json.loads(body)
