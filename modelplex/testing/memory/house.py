"""A whole Modelplex in memory: guests on one side, upstreams on the other, a clock."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from modelplex.config import Config, Guest, Provider, Server
from modelplex.graph import Graph, build
from modelplex.secret import Secret
from modelplex.surface.paths import route
from modelplex.surface.root import render_error
from modelplex.surface.site import GuestSite, Limits
from modelplex.testing.memory import guest
from modelplex.testing.memory.upstream import Upstreams

KEY = "sk-operators-own-key"
KEEPALIVE = 15.0  # seconds


def upstream(name: str, priority: int = 1, **members: Any) -> Provider:
    """An OpenAI provider of the model ``m``, at the path ``/NAME``."""
    settings: dict[str, Any] = {
        "type": "openai",
        "base_url": f"http+unix://%2F{name}",
        "models": ("m",),
        "api_keys": (Secret(KEY),),
    }
    return Provider(name=name, priority=priority, **{**settings, **members})


@define(eq=False)
class House:
    """Everything between a guest's connection and an upstream's, as it is served."""

    providers: tuple[Provider, ...] = (upstream("up"),)
    policy: Guest = field(factory=lambda: Guest(name="default"))
    limits: Limits = field(factory=Limits)
    reactor: MemoryReactorClock = field(factory=MemoryReactorClock)
    upstreams: Upstreams = field(init=False)
    site: GuestSite = field(init=False)
    guests: list[guest.Guest] = field(factory=list)
    graph: Graph = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.upstreams = Upstreams(self.reactor)
        config = Config(
            server=Server(keepalive=KEEPALIVE),
            providers=self.providers,
            guests=(self.policy,),
        )
        self.graph = build(config, self.reactor)
        [door] = self.graph.doors
        self.site = GuestSite(
            door.root,
            limits=self.limits,
            reactor=self.reactor,
            render_error=render_error,
            route=route,
        )

    def guest(self) -> guest.Guest:
        """A new connection of the guest."""
        self.guests.append(guest.Guest(self.site, self.reactor))
        return self.guests[-1]

    def asking(self, target: str = "/v1/chat/completions", **members: Any) -> Any:
        """A new connection that has sent a request."""
        asking = self.guest()
        said = {"messages": [{"role": "user", "content": "hello"}]}
        if target == "/v1/completions":
            said = {"prompt": "hello"}  # type: ignore[dict-item]
        elif target == "/v1/embeddings":
            said = {"input": "hello"}  # type: ignore[dict-item]
        asking.post(target, {"model": "m", **said, **members})
        return asking

    def turn(self, times: int = 3) -> None:
        """Let the reactor do what is due now."""
        for _ in range(times):
            self.reactor.advance(0)

    def wait(self, seconds: int) -> None:
        """Let time pass, a second at a time."""
        self.reactor.pump([1.0] * seconds)

    def nothing_is_left(self) -> None:
        """Once the guests have gone nothing is open and nothing is going to happen."""
        for one in self.guests:
            one.leave()
        self.turn()
        assert self.upstreams.waiting() == []
        closing = Deferred.fromCoroutine(self.graph.close())
        self.turn()
        assert closing.called
        assert self.upstreams.open == []
        assert self.site.connections == 0
        assert self.reactor.getDelayedCalls() == []
