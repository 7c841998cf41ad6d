"""
One request to a remote server: a conversation of its own, over a stream of its own.

So whatever comes on the stream is about this request, and about no other guest's.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure as Broken

from modelplex.errors import UpstreamError
from modelplex.mcp.conversation import Conversation
from modelplex.mcp.remote_wire import Wire, meaning
from modelplex.tools import ToolServerError
from modelplex.wire.jsonrpc import Answer, Call, Failure, Message, Note, parse

_CANCELLED = "notifications/cancelled"


@define(eq=False)
class Exchange:
    """
    Carries what one conversation sends.

    :param tell: sends a message that nobody answers.
    :ivar ids: of the requests that it made, one a round.
    """

    name: str
    _wire: Wire
    _tell: Callable[[Note | Answer | Failure], None]
    ids: set[str] = field(factory=set)
    conversation: Conversation = field(init=False)
    _carrying: Deferred[None] | None = None

    def send(self, text: bytes) -> None:
        """Send a message of the conversation."""
        message = parse(text)
        if isinstance(message, Call):
            self.ids.add(str(message.id))
            carrying = self._carrying = Deferred.fromCoroutine(self._carried(message))
            carrying.addErrback(_hung_up)
            return
        cancelling = isinstance(message, Note) and message.method == _CANCELLED
        if not (cancelling and self._wire.modern):
            self._tell(message)
        if cancelling:
            self.hang_up()

    def hang_up(self) -> None:
        """Nothing that may still come matters."""
        carrying, self._carrying = self._carrying, None
        if carrying is not None:
            carrying.cancel()

    async def _carried(self, call: Call) -> None:
        answered = False

        def deliver(message: Message) -> None:
            nonlocal answered
            if isinstance(message, Answer | Failure):
                answered = answered or str(message.id) == str(call.id)
            self.conversation.received(message)

        try:
            await self._wire.exchange(call, deliver, lambda: not answered)
        except UpstreamError as e:
            self._failed(meaning(e, self.name), answered)
        except ToolServerError as e:
            self._failed(e, answered)

    def _failed(self, error: ToolServerError, answered: bool) -> None:
        if not answered:
            self.conversation.close(error)


def _hung_up(failure: Broken) -> None:
    failure.trap(CancelledError)
