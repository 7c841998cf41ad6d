"""The sessions that legacy clients have over HTTP, for as long as they are used."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from modelplex.errors import LimitReached
from modelplex.surface.mcp_served import Served
from modelplex.surface.mcp_session import Session
from modelplex.surface.mcp_stream import History, Stream
from modelplex.wire.jsonrpc import Params, Result
from modelplex.wire.mcp.revisions import has_priming

MOST = 128  # sessions of one guest
IDLE_SECONDS = 1800.0
ENDED = 64  # streams that have ended and may still be read again


def new_session_id() -> str:
    """An id that nobody can guess."""
    return token_hex(16)


@define(eq=False)
class HttpSession:
    """
    A `Session` and the streams on which it is told things.

    :ivar unrelated: what belongs to no call.
    :ivar used: when it was used last, in seconds.
    """

    id: str
    served: Served
    _seconds: Callable[[], float]
    session: Session = field(init=False)
    unrelated: Stream = field(init=False)
    used: float = field(init=False)
    _history: History = field(factory=History)
    _streams: dict[int, Stream] = field(factory=dict)
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        self.unrelated = Stream(0, self._history)
        self.session = Session(
            self.served, lambda note: self.unrelated.tell(note), self.touch
        )
        self.touch()

    @property
    def busy(self) -> bool:
        """Something runs for it, or somebody listens."""
        return bool(len(self.session.running)) or self.unrelated.attached

    def initialize(self, params: Params) -> Result:
        """
        Begin; gives the answer.

        :raises RpcError: it cannot begin so.
        """
        answer = self.session.initialize(params)
        self.unrelated.primed = has_priming(self.session.version)
        return answer

    def touch(self) -> None:
        """It is in use."""
        self.used = self._seconds()

    def stream(self) -> Stream:
        """A new stream, for the answers to one request."""
        self._count += 1
        primed = has_priming(self.session.version)
        found = self._streams[self._count] = Stream(self._count, self._history, primed)
        ended = [one.number for one in self._streams.values() if one.ended]
        for number in ended[:-ENDED]:
            del self._streams[number]
        return found

    def resumed(self, event: str) -> tuple[Stream, int] | None:
        """The stream that an event id belongs to, and its place there."""
        number, dash, place = event.partition("-")
        if not (dash and _is_number(number) and _is_number(place)):
            return None
        stream = self._streams.get(int(number)) if int(number) else self.unrelated
        return None if stream is None or not int(place) else (stream, int(place))

    def close(self) -> None:
        """End it, and all that runs for it."""
        self.session.close()
        self.unrelated.finish(b"")
        self._history.forget()


@define(eq=False)
class Sessions:
    """
    Every session of one guest; the one longest idle makes room for another.

    One timer looks for those that nobody has used for `IDLE_SECONDS`, and runs only
    while there are any.
    """

    _clock: IReactorTime
    _new_id: Callable[[], str] = new_session_id
    _open: dict[str, HttpSession] = field(factory=dict)
    _timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, served: Served) -> HttpSession:
        """
        A new session.

        :raises LimitReached: there are too many, and all of them are busy.
        """
        if len(self._open) >= MOST:
            idle = [one for one in self._open.values() if not one.busy]
            if not idle:
                raise LimitReached("too many sessions", status=503, retry_after=1)
            self.end(min(idle, key=lambda one: one.used))
        session = HttpSession(self._new_id(), served, self._clock.seconds)
        self._open[session.id] = session
        self._look_later()
        return session

    def find(self, id: str, served: Served) -> HttpSession | None:
        """The session of this id, if it is one with `served`; it is used now."""
        found = self._open.get(id)
        if found is None or found.served is not served:
            return None
        found.touch()
        return found

    def end(self, session: HttpSession) -> None:
        """End `session`; its id means nothing any more."""
        if self._open.pop(session.id, None) is not None:
            session.close()
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """End them all."""
        for session in list(self._open.values()):
            self.end(session)

    def _look_later(self) -> None:
        if self._timer is None and self._open:
            first = min(one.used for one in self._open.values())
            wait = max(1.0, first + IDLE_SECONDS - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for session in list(self._open.values()):
            if session.busy:
                session.touch()
            elif now - session.used >= IDLE_SECONDS:
                self.end(session)
        self._look_later()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
