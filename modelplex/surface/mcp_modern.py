"""
MCP over HTTP without a session: revision 2026-07-28.

All that a request needs comes with it, and a client that hangs up has cancelled it.
"""

from __future__ import annotations

from http import HTTPStatus

from attrs import define
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import GatewayError
from modelplex.surface.mcp_reply import Reply, accept, answer, refuse
from modelplex.surface.mcp_served import Served
from modelplex.surface.mcp_single import LISTEN, Listen, SingleCall
from modelplex.surface.request import GuestRequest
from modelplex.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Answer,
    Call,
    Failure,
    Message,
    Note,
    RpcError,
    encode,
)
from modelplex.wire.mcp.envelope import (
    HEADER_MISMATCH,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    Envelope,
    opened,
)
from modelplex.wire.mcp.eras import Sent
from modelplex.wire.mcp.headers import Lookup, check, check_single

_STATUS = {
    PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    HEADER_MISMATCH: HTTPStatus.BAD_REQUEST,
    MISSING_CAPABILITY: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
    METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
}
_UNREAD = 2**18  # bytes that are written to a client that does not read


@define(eq=False)
class ModernHttp:
    """Requests that know nothing of one another."""

    _clock: IReactorTime

    async def post(self, request: GuestRequest, served: Served, sent: Sent) -> None:
        """Answer what was sent, which is of this era."""
        lookup = _lookup(request)
        if isinstance(sent, Note):
            # To act on one would let any client cancel another's request.
            accept(request)
            return
        if not isinstance(sent, Call):
            refuse(request, HTTPStatus.BAD_REQUEST, "a request is expected")
            return
        try:
            envelope = admitted(lookup, sent)
        except RpcError as e:
            answer(request, encode(e.failure(sent.id)), HTTPStatus.BAD_REQUEST)
            return
        request.release_body()
        way = _ReplyWay(Reply(request, self._clock))
        try:
            if sent.method == LISTEN:
                await self._listen(request, served, sent, envelope, way)
            else:
                id = request.request_id
                single = SingleCall(served, sent, envelope, way, id)
                way.end(await _told(single))
        finally:
            way.reply.close()

    async def _listen(
        self,
        request: GuestRequest,
        served: Served,
        call: Call,
        envelope: Envelope,
        way: _ReplyWay,
    ) -> None:
        """Tell of changes until the client hangs up, or the service stops."""
        if request.site.draining:
            refused = Failure(call.id, INTERNAL_ERROR, "shutting down")
            way.end(refused)
            return
        listen = Listen(served, call, way)
        try:
            listen.begin(envelope)
        except RpcError as e:
            way.end(e.failure(call.id))
            return
        request.drained = listen.end
        try:
            await way.reply.done()
        finally:
            listen.stop()


@define(eq=False)
class _ReplyWay:
    """One request's answer, and what is told before it."""

    reply: Reply
    _unread: int = 0  # bytes

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        if not self.reply.open or (droppable and self.reply.blocked):
            return
        payload = encode(message)
        self._unread = self._unread + len(payload) if self.reply.blocked else 0
        if self._unread > _UNREAD:
            self.reply.cut()
        else:
            self.reply.event(payload)

    def end(self, message: Answer | Failure | None) -> None:
        status = HTTPStatus.OK
        if isinstance(message, Failure):
            status = _STATUS.get(message.code, HTTPStatus.OK)
        self.reply.finish(b"" if message is None else encode(message), status)


async def _told(single: SingleCall) -> Answer | Failure:
    call = single.call
    try:
        return Answer(call.id, await single.answered())
    except RpcError as e:
        return e.failure(call.id)
    except GatewayError as e:
        return Failure(call.id, INTERNAL_ERROR, e.message)


def admitted(lookup: Lookup, call: Call) -> Envelope:
    """
    The envelope of a request whose headers say what it says.

    :raises RpcError: in the order of the protocol's own checks.
    """
    check_single(lookup)
    later: RpcError | None = None
    envelope = None
    try:
        envelope = opened(call.params)
    except RpcError as e:
        if e.rpc_code != UNSUPPORTED_VERSION:
            raise
        later = e
    check(lookup, call.method, call.params)
    if envelope is None:
        assert later is not None
        raise later
    return envelope


def _lookup(request: GuestRequest) -> Lookup:
    headers = request.requestHeaders
    return lambda name: headers.getRawHeaders(name.encode(), [])
