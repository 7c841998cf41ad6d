"""What is agreed on with a remote server, and the requests that are made under it."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure as Broken

from modelplex.errors import GatewayError
from modelplex.mcp.client_session import ClientSession
from modelplex.mcp.conversation import Conversation
from modelplex.mcp.handshake import Opened
from modelplex.mcp.ourselves import Ourselves
from modelplex.mcp.pending import Pending
from modelplex.mcp.remote_exchange import Exchange
from modelplex.mcp.remote_modern import news
from modelplex.mcp.remote_settings import RemoteSettings
from modelplex.mcp.remote_wire import Refusal, SessionGone, Wire
from modelplex.mcp.rounds import ROUNDS
from modelplex.timing import limited
from modelplex.tools import Caller, ToolServerError, ToolServerTimeout
from modelplex.wire.jsonrpc import (
    Answer,
    Call,
    Failure,
    Message,
    Note,
    Params,
    Result,
    RpcError,
    parse,
)

GOODBYE = 3.0  # seconds to end a session
TELLING = 10.0  # seconds to tell what nobody answers
SAYING = 64  # messages that nobody answers, at a time
_AGAIN, _MOST = 1.0, 60.0  # seconds until the server is listened to again
_QUESTIONS = ("sampling/createMessage", "elicitation/create")
_PROGRESS = "notifications/progress"


class Owner(Protocol):
    """Whoever has the link."""

    def changed(self) -> None:
        """The server offers something else."""

    def updated(self, uri: str) -> None:
        """A resource has changed."""

    def lost(self, link: Any) -> None:
        """The server has forgotten `link`, or ended its stream."""


@define(eq=False)
class _Further(ClientSession):
    """A conversation under a session that has used the ids before `_first`."""

    _first: int = field(default=1, kw_only=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._pending = Pending(self.ignored, self._first)


@define(eq=False, repr=False)
class Link:
    """
    One session with a server of the legacy era; with a modern one, just what it is.

    :ivar agreed: on what.
    :ivar uris: the resources whose changes a modern server is asked to tell.
    """

    log = Logger()

    agreed: Opened
    _us: Ourselves
    _wire: Wire
    _settings: RemoteSettings
    _clock: IReactorTime
    _owner: Owner
    uris: set[str] = field(factory=set)
    _next: int = 1_000  # of ids; those below were used to open it
    _exchanges: set[Exchange] = field(factory=set)
    _standing: Conversation = field(init=False)
    _saying: set[Deferred[Any]] = field(factory=set)
    _background: Deferred[Any] | None = None
    _listening: Deferred[Any] | None = None
    _idle: list[Deferred[None]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._standing = self._conversation(self._said)

    @property
    def in_flight(self) -> int:
        """How many requests wait for the server."""
        return len(self._exchanges)

    def begin(self) -> None:
        """Listen to what the server says unasked."""
        work = self._subscribed() if self.agreed.modern else self._heard()
        self._background = Deferred.fromCoroutine(work)
        self._background.addErrback(self._ended)

    async def request(self, method: str, params: Params, caller: Caller) -> Result:
        """Make a guest's request; see `IToolServer.request`."""
        idle, cap = self._settings.timeout, self._settings.timeout_cap
        return await self._made(
            lambda talk: talk.request(method, params, caller, idle, cap)
        )

    async def ask(self, method: str, params: Params) -> Result:
        """Make a request of our own; as `request`."""
        timeout = self._settings.timeout
        return await self._made(lambda talk: talk.ask(method, params, timeout))

    def listen_anew(self) -> None:
        """`uris` are others now."""
        if self._listening is not None:
            self._listening.cancel()

    async def close(self, error: GatewayError) -> None:
        """End it: requests fail with `error`, and the server is told."""
        background, self._background = self._background, None
        if background is not None:
            background.cancel()
        for exchange in list(self._exchanges):
            exchange.conversation.close(error)
            exchange.hang_up()
        self._standing.close(error)
        goodbye = Deferred.fromCoroutine(self._wire.close())
        try:
            await limited(goodbye, GOODBYE, self._clock, self._late)
        except GatewayError as e:
            self.log.debug("Leaving {name}: {why}", name=self._name, why=e.message)
        finally:
            self._say_no_more()

    async def retire(self) -> None:
        """Its session is gone: let those finish who still wait, and say nothing."""
        background, self._background = self._background, None
        if background is not None:
            background.cancel()
        try:
            if self._exchanges:
                idle: Deferred[None] = Deferred()
                self._idle.append(idle)
                await idle
        finally:
            self._say_no_more()

    @property
    def _name(self) -> str:
        return self._settings.name

    def _late(self) -> GatewayError:
        return ToolServerTimeout(f"{self._name}: it did not answer in time")

    # Requests

    def _conversation(self, send: Any) -> Conversation:
        number, self._next = self._next, self._next + ROUNDS + 2
        session = _Further(self._us, opened=self.agreed, first=number)
        return Conversation(self._name, session, send, self._clock, self)

    async def _made(self, make: Any) -> Result:
        exchange = Exchange(self._name, self._wire, self._tell)
        exchange.conversation = self._conversation(exchange.send)
        self._exchanges.add(exchange)
        try:
            return await make(exchange.conversation)
        finally:
            self._exchanges.discard(exchange)
            if not self._exchanges:
                idle, self._idle = self._idle, []
                for one in idle:
                    one.callback(None)

    # What is told, and nobody answers

    def _said(self, text: bytes) -> None:
        message = parse(text)
        assert not isinstance(message, Call)  # nobody asks on the standing one
        self._tell(message)

    def _tell(self, message: Note | Answer | Failure) -> None:
        if len(self._saying) >= SAYING:
            self.log.warn("Tool server {name} takes too long to hear", name=self._name)
            return
        telling = limited(
            Deferred.fromCoroutine(self._wire.tell(message)),
            TELLING,
            self._clock,
            self._late,
        )
        self._saying.add(telling)

        def told(outcome: Any) -> Any:
            self._saying.discard(telling)
            return outcome

        telling.addBoth(told)
        telling.addErrback(self._ended)

    def _ended(self, failure: Broken) -> None:
        failure.trap(GatewayError, CancelledError)
        if isinstance(failure.value, GatewayError):
            why = failure.value.message
            self.log.debug("Tool server {name}: {why}", name=self._name, why=why)

    def _say_no_more(self) -> None:
        for saying in list(self._saying):
            saying.cancel()

    # What the server says unasked

    async def _heard(self) -> None:
        try:
            await self._wire.listen(self._unasked)
        except SessionGone:
            self._owner.lost(self)

    def _unasked(self, message: Message) -> None:
        """What is on no request's stream belongs to one only if there is no other."""
        match message:
            case Call() if message.method in _QUESTIONS and len(self._exchanges) == 1:
                [only] = self._exchanges
                only.conversation.received(message)
            case Note() if message.method == _PROGRESS:
                self._routed(message, message.params.get("progressToken"))
            case Answer() | Failure():
                self._routed(message, message.id)
            case _:
                self._standing.received(message)

    def _routed(self, message: Message, id: object) -> None:
        for exchange in list(self._exchanges):
            if str(id) in exchange.ids:
                exchange.conversation.received(message)

    async def _subscribed(self) -> None:
        """Keep a subscription for as long as there is anything to subscribe to."""
        tries = 0
        while True:
            wanted = news(self.agreed.capabilities, self.uris)
            listening = self._listening = Deferred.fromCoroutine(
                self._listened(wanted) if wanted else _never()
            )
            try:
                await listening
                tries = 0
            except CancelledError:
                if self._background is None:
                    raise
                continue  # it is to be another one
            except Refusal as e:
                if e.answered < 500:
                    return
            except RpcError:
                return  # it has no such thing
            except ToolServerError:
                pass
            finally:
                self._listening = None
            tries += 1
            pause = min(_AGAIN * 2.0 ** min(tries - 1, 16), _MOST)
            await deferLater(self._clock, pause)
            self._owner.changed()  # nothing is told again

    async def _listened(self, wanted: Params) -> Result:
        exchange = Exchange(self._name, self._wire, self._tell)
        exchange.conversation = self._conversation(exchange.send)
        return await exchange.conversation.listen({"notifications": wanted})

    # What its conversations hear

    def opened(self, opened: Opened) -> None:
        """It was opened before."""

    def unfit(self, why: str) -> None:
        """It was opened before."""

    def changed(self) -> None:
        self._owner.changed()

    def updated(self, uri: str) -> None:
        self._owner.updated(uri)


async def _never() -> None:
    await Deferred()
