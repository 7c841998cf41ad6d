"""
MCP over HTTP with a session: revisions 2024-11-05 to 2025-11-25.

A client that hangs up has not cancelled anything: what it asked for goes on, and it may
come back for the answer with ``Last-Event-ID``.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from modelplex.errors import GatewayError
from modelplex.surface.mcp_reply import Reply, accept, answer, refuse
from modelplex.surface.mcp_served import Served
from modelplex.surface.mcp_sessions import HttpSession, Sessions
from modelplex.surface.mcp_stream import Stream
from modelplex.surface.request import GuestRequest
from modelplex.wire.jsonrpc import (
    Answer,
    Call,
    Failure,
    Id,
    Message,
    RpcError,
    encode,
)
from modelplex.wire.mcp.eras import Sent
from modelplex.wire.mcp.headers import VERSION_HEADER
from modelplex.wire.mcp.revisions import LEGACY, has_batches

SESSION = b"mcp-session-id"
CANCELLED = -32800
"""What ends the answer to a request that its client has cancelled, as SDKs expect."""


@define(eq=False)
class LegacyHttp:
    """The sessions of one guest, over HTTP."""

    _clock: IReactorTime
    sessions: Sessions

    async def post(self, request: GuestRequest, served: Served, sent: Sent) -> None:
        """Answer what was sent; the checks that need no session are done."""
        if isinstance(sent, Call) and sent.method == "initialize":
            self._initialize(request, served, sent)
            return
        session = self._session(request, served)
        if session is None:
            return
        messages = sent if isinstance(sent, Sequence) else [sent]
        batch = isinstance(sent, Sequence)
        if batch and not _may_be_batch(session, messages):
            message = "there are no batches in this revision"
            refuse(request, HTTPStatus.BAD_REQUEST, message)
            return
        if not any(isinstance(one, Call) for one in messages):
            accept(request)
            for one in messages:
                session.session.take(one, _NOWHERE)
            return
        await self._answered(request, session, messages, batch)

    async def get(self, request: GuestRequest, served: Served) -> None:
        """Tell what belongs to no call, or what a client has missed of one."""
        session = self._session(request, served)
        if session is None:
            return
        stream, after = session.unrelated, None
        last = request.requestHeaders.getRawHeaders(b"last-event-id")
        if last is not None:
            found = session.resumed(last[-1].decode("latin-1").strip())
            if found is None:
                message = "this stream cannot be gone on with"
                refuse(request, HTTPStatus.BAD_REQUEST, message)
                return
            stream, after = found
        if stream.attached:
            message = "this stream is being read already"
            refuse(request, HTTPStatus.CONFLICT, message)
            return
        self._name(request, session)
        reply = Reply(request, self._clock)
        if stream is session.unrelated:
            request.drained = reply.finish
        if not stream.attach(reply, after):
            reply.close()
            message = "events of this stream are lost"
            refuse(request, HTTPStatus.BAD_REQUEST, message)
            return
        stream.begin()
        await self._read(session, stream, reply)

    def delete(self, request: GuestRequest, served: Served) -> None:
        """End a session."""
        session = self._session(request, served)
        if session is not None:
            self.sessions.end(session)
            answer(request, b"", HTTPStatus.OK)

    # --- details

    def _initialize(self, request: GuestRequest, served: Served, call: Call) -> None:
        told: Answer | Failure
        try:
            session = self.sessions.begin(served)
        except GatewayError as e:
            refuse(request, e.status, e.message)
            return
        try:
            told = Answer(call.id, session.initialize(call.params))
        except RpcError as e:
            self.sessions.end(session)
            told = e.failure(call.id)
        else:
            self._name(request, session)
        answer(request, encode(told), HTTPStatus.OK)

    async def _answered(
        self,
        request: GuestRequest,
        session: HttpSession,
        messages: Sequence[Message],
        batch: bool,
    ) -> None:
        self._name(request, session)
        reply = Reply(request, self._clock)
        stream = session.stream()
        stream.attach(reply)
        answers = _Answers(stream, sum(isinstance(m, Call) for m in messages), batch)
        for one in messages:
            way = _CallWay(answers, one.id) if isinstance(one, Call) else _NOWHERE
            session.session.take(one, way, request.request_id)
        request.release_body()
        await self._read(session, stream, reply)

    async def _read(self, session: HttpSession, stream: Stream, reply: Reply) -> None:
        """Wait until all is told, or the client has hung up."""
        try:
            await reply.done()
        finally:
            reply.close()
            stream.detach(reply)
            session.touch()

    def _session(self, request: GuestRequest, served: Served) -> HttpSession | None:
        """The session of a request; else it is answered already."""
        given = request.requestHeaders.getRawHeaders(SESSION)
        if given is None or len(given) != 1:
            message = "Mcp-Session-Id is required, once"
            refuse(request, HTTPStatus.BAD_REQUEST, message)
            return None
        session = self.sessions.find(given[0].decode("latin-1").strip(), served)
        if session is None:
            refuse(request, HTTPStatus.NOT_FOUND, "there is no such session")
            return None
        version = version_of(request)
        if version is not None and version not in LEGACY:
            message = f"this version is not served; these are: {', '.join(LEGACY)}"
            refuse(request, HTTPStatus.BAD_REQUEST, message)
            return None
        return session

    def _name(self, request: GuestRequest, session: HttpSession) -> None:
        request.responseHeaders.setRawHeaders(SESSION, [session.id.encode("ascii")])


@define(eq=False)
class _Answers:
    """The answers to all that came in one request, told together."""

    stream: Stream
    _left: int
    _batch: bool
    _told: list[bytes] = field(factory=list, repr=False)

    def add(self, answer: Answer | Failure) -> None:
        """One more; with the last one the request is answered."""
        self._told.append(encode(answer))
        self._left -= 1
        if self._left:
            return
        *earlier, last = self._told
        if self._batch and not self.stream.begun:
            self.stream.finish(b"[" + b",".join(self._told) + b"]")
            return
        for payload in earlier:
            self.stream.event(payload)
        self.stream.finish(last)


@define(eq=False)
class _CallWay:
    """One call among what came in a request."""

    _answers: _Answers
    _id: Id

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        self._answers.stream.tell(message, droppable=droppable)

    def end(self, message: Answer | Failure | None) -> None:
        self._answers.add(message or Failure(self._id, CANCELLED, "cancelled"))


class _Nowhere:
    """The way of what is not answered."""

    def tell(self, message: Message, *, droppable: bool = False) -> None:
        """Nothing."""

    def end(self, message: Answer | Failure | None) -> None:
        """Nothing."""


_NOWHERE = _Nowhere()


def _may_be_batch(session: HttpSession, messages: Sequence[Message]) -> bool:
    return has_batches(session.session.version) and not any(
        isinstance(one, Call) and one.method == "initialize" for one in messages
    )


def version_of(request: GuestRequest) -> str | None:
    """What the ``MCP-Protocol-Version`` header says."""
    given = request.requestHeaders.getRawHeaders(VERSION_HEADER.encode())
    return None if given is None else given[-1].decode("latin-1").strip()
