"""What a server must be told again in every new conversation: levels, subscriptions."""

from __future__ import annotations

from collections import Counter

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from modelplex.errors import GatewayError
from modelplex.mcp.conversation import Conversation
from modelplex.tools import ToolServerError
from modelplex.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Result, RpcError
from modelplex.wire.mcp.envelope import LEVELS

URIS = 1000  # of one server
AGAIN = 5.0  # seconds after which a stream of changes that ended is asked for again


@define(eq=False, repr=False)
class Standing:
    """
    What all guests together want one server to tell.

    :param timeout: seconds for each request.
    :ivar level: the most verbose one that anybody has asked for.
    """

    name: str
    _clock: IReactorTime
    _timeout: float
    level: str | None = None
    _uris: Counter[str] = field(factory=Counter)
    _conversation: Conversation | None = None
    _listening: Deferred[Result] | None = None
    _timer: IDelayedCall | None = None
    log = Logger()

    def begin(self, conversation: Conversation) -> None:
        """A new conversation: say it all again."""
        self._conversation = conversation
        if conversation.opened.modern:
            self._listen()
            return
        if self.level is not None and "logging" in conversation.opened.capabilities:
            self._say("logging/setLevel", {"level": self.level})
        for uri in self._uris:
            self._say("resources/subscribe", {"uri": uri})

    def over(self) -> None:
        """The conversation has ended."""
        self._conversation = None
        self._listening = None
        self._stop_timer()

    def hear(self, conversation: Conversation, level: object) -> None:
        """Let the server log lines of `level`, if it does not yet."""
        if not isinstance(level, str) or level not in LEVELS:
            return
        if self.level is not None and LEVELS.index(level) >= LEVELS.index(self.level):
            return
        self.level = level
        opened = conversation.opened
        if not opened.modern and "logging" in opened.capabilities:
            self._say("logging/setLevel", {"level": level})

    async def subscribe(self, conversation: Conversation, uri: object) -> Result:
        """
        One more wants to know when `uri` changes.

        :raises RpcError: there is no such thing, or there are too many.
        """
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "uri is required")
        if uri not in self._uris and len(self._uris) >= URIS:
            raise RpcError(INVALID_PARAMS, "too many subscriptions")
        first = uri not in self._uris
        if first and not conversation.opened.modern:
            await conversation.ask("resources/subscribe", {"uri": uri}, self._timeout)
        self._uris[uri] += 1
        if first and conversation.opened.modern:
            self._listen()
        return {}

    async def unsubscribe(self, conversation: Conversation, uri: object) -> Result:
        """One less wants to know; the last one tells the server."""
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "uri is required")
        if uri not in self._uris:
            return {}
        self._uris[uri] -= 1
        if not self._uris[uri]:
            del self._uris[uri]
            if conversation.opened.modern:
                self._listen()
            else:
                wanted = {"uri": uri}
                await conversation.ask("resources/unsubscribe", wanted, self._timeout)
        return {}

    def _say(self, method: str, params: dict[str, str]) -> None:
        assert self._conversation is not None

        def unsaid(failure: Failure) -> None:
            failure.trap(GatewayError)
            if failure.check(RpcError):
                self.log.warn(
                    "Tool server {name} refused {method}: {why}",
                    name=self.name,
                    method=method,
                    why=str(failure.value)[:200],
                )

        self._conversation.ask(method, params, self._timeout).addErrback(unsaid)

    def _listen(self) -> None:
        """Ask a modern server for its changes, in one stream with all that we want."""
        conversation = self._conversation
        if conversation is None:
            return
        self._stop_timer()
        wanted: dict[str, object] = {}
        for kind in ("tools", "prompts", "resources"):
            has = conversation.opened.capabilities.get(kind)
            if isinstance(has, dict) and has.get("listChanged"):
                wanted[f"{kind}ListChanged"] = True
        if self._uris:
            wanted["resourceSubscriptions"] = sorted(self._uris)
        before, self._listening = self._listening, None
        if wanted:
            self._listening = listening = conversation.listen({"notifications": wanted})
            listening.addBoth(lambda outcome: self._unheard(listening, outcome))
        if before is not None:
            before.cancel()  # after the new one has begun, so that nothing is missed

    def _unheard(self, listening: Deferred[Result], outcome: object) -> None:
        if self._listening is not listening:
            return
        self._listening = None
        error = getattr(outcome, "value", None)
        if isinstance(error, ToolServerError | CancelledError):
            return  # the conversation is over
        if isinstance(error, RpcError) and error.rpc_code == METHOD_NOT_FOUND:
            return
        self._timer = self._clock.callLater(AGAIN, self._listen)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
