"""
A form that is still arriving, and goes on to a provider meanwhile.

Who is asked depends on the field ``model``, which may stand anywhere. Until it has
come the form is held in memory, bounded by the site's limit; from then on the guest
is read from only as fast as the provider takes the form.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from modelplex.errors import GatewayError
from modelplex.wire.multipart import (
    Field,
    FormReader,
    content_type_of,
    first_line,
    model_part,
)

BLOCK = 2**16  # bytes: what is sent at a time, and what is held of a form that moves


class Pace(Protocol):
    """The guest's connection."""

    def hold(self) -> None:
        """Read no more of the body."""

    def release(self) -> None:
        """Read on."""


def _admit_all(name: str, value: str) -> None:
    """No policy yet."""


@define(eq=False)
class Upload:
    """
    One form. The request gives it bytes, an exchange asks who is meant by them.

    :ivar length: bytes of the whole form, if the guest has said.
    :ivar admit: called with the name and the value of each field that is no file;
        raises `GatewayError` for one that is refused.
    :ivar interrupted: called once the form has broken off, and `error` says why.
    :ivar spent: a part of it has left and is not kept.
    """

    _boundary: bytes
    length: int | None
    _pace: Pace
    admit: Callable[[str, str], None] = _admit_all
    interrupted: Callable[[], None] | None = None
    error: GatewayError | None = None
    spent: bool = False
    complete: bool = False
    _reader: FormReader = field(init=False)
    _before: _Blocks = field(init=False)
    _model: Field | None = None
    _after: _Blocks = field(init=False)
    _known: bool = False
    _waiting: Deferred[str] | None = None
    _sending: Sending | None = None

    def __attrs_post_init__(self) -> None:
        self._reader = FormReader(self._boundary)
        self._before, self._after = _Blocks(), _Blocks()

    @property
    def media_type(self) -> bytes:
        return content_type_of(self._boundary)

    @property
    def held(self) -> int:
        """Bytes in memory that have not been sent."""
        sending = 0 if self._sending is None else self._sending.held
        return self._before.size + self._after.size + sending

    # --- what the request tells

    def received(self, data: bytes) -> None:
        """
        Take a piece of the form.

        :raises GatewayError: it is none, or a field of it is refused.
        """
        for piece in self._reader.feed(data):
            if not isinstance(piece, Field):
                self._pass(piece)
                continue
            self.admit(piece.name, piece.value)
            if piece.name == "model" and not self._known:
                self._model = piece
                self._decide(piece.value)
            else:
                self._pass(piece.raw)
        if self._known and self._sending is None and self._after.size > BLOCK:
            self._pace.hold()

    def ended(self) -> None:
        """
        The request's body is complete.

        :raises GatewayError: the form is not.
        """
        self._reader.eof()
        self.complete = True
        if not self._known:
            self._decide("")
        elif self._sending is not None:
            self._sending.pump()

    def fail(self, error: GatewayError) -> None:
        """There will be no more, because of `error`; only the first counts."""
        if self.error is not None:
            return
        self.error = error
        self.forget()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(error)
        elif self.interrupted is not None:
            self.interrupted()

    # --- what an exchange asks

    def model(self) -> Deferred[str]:
        """Fires with the model that is asked for; "" when the form names none."""
        assert not self._known and self._waiting is None
        self._waiting = Deferred()
        return self._waiting

    def without_model(self) -> None:
        """Whoever gets it has no use for the name of a model."""
        self._known = True

    def sent_as(self, model: str) -> Sending:
        """The body of a request to a provider that calls the model `model`."""
        return Sending(self, model)

    def forget(self) -> None:
        """Nobody will be asked any more."""
        self._before, self._after = _Blocks(), _Blocks()

    # --- what is sent

    def size_as(self, model: str) -> int | object:
        """Bytes of what `sent_as` sends; Twisted's ``UNKNOWN_LENGTH`` if unknown."""
        named = len(self._named(model))
        if self.complete:
            return self._before.size + named + self._after.size
        if self.length is None:
            return UNKNOWN_LENGTH
        replaced = 0 if self._model is None else len(self._model.raw)
        return self.length + named - replaced

    def given_to(self, sending: Sending, model: str) -> deque[bytearray | bytes]:
        """
        What is there now; `sending` gets what comes later.

        A form that is complete is kept, so that another may be asked.
        """
        self._sending = sending
        named = self._named(model)
        queue: deque[bytearray | bytes] = deque((*self._before, named, *self._after))
        if self._model is None:  # it is a part of its own, and the first
            queue = deque((named, *self._before, *self._after))
        if not self.complete:
            self.spent = True
            self.forget()
        return queue

    def hold(self) -> None:
        """Read no more from the guest, if it still sends."""
        if not self.complete and self.error is None:
            self._pace.hold()

    def read_on(self) -> None:
        """The provider takes more."""
        self._pace.release()

    def _named(self, model: str) -> bytes:
        """The field ``model`` as a provider gets it."""
        if not model:
            return b""
        if self._model is not None:
            return model_part(self._model.start, model)
        return model_part(first_line(self._boundary), model) + b"\r\n"

    def _decide(self, model: str) -> None:
        self._known = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(model)

    def _pass(self, data: bytes) -> None:
        if self._sending is not None:
            self._sending.add(data)
        elif self._known:
            self._after.add(data)
        else:
            self._before.add(data)


@define(eq=False)
class _Blocks:
    """Bytes that wait. A form that comes a byte at a time costs no more for it."""

    size: int = 0
    _blocks: list[bytearray] = field(factory=list)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if not self._blocks or len(self._blocks[-1]) + len(data) > BLOCK:
            self._blocks.append(bytearray())
        self._blocks[-1] += data

    def __iter__(self) -> Iterator[bytearray]:
        return iter(self._blocks)


@implementer(IBodyProducer)
@define(eq=False)
class Sending:
    """One attempt to send an `Upload`."""

    _upload: Upload
    _model: str
    _consumer: IConsumer | None = None
    _queue: deque[bytearray | bytes] = field(factory=deque)
    _paused: bool = False
    _over: bool = False
    _done: Deferred[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._done = Deferred(lambda _: self.stopProducing())

    @property
    def length(self) -> int | object:
        """Bytes that will be sent; asked once there is a connection."""
        return self._upload.size_as(self._model)

    @property
    def held(self) -> int:
        """Bytes that wait for the provider."""
        return 0 if self._upload.complete else sum(map(len, self._queue))

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        if self._upload.error is not None:
            return fail(self._upload.error)
        self._consumer = consumer
        self._queue = self._upload.given_to(self, self._model)
        self.pump()
        return self._done

    def add(self, data: bytes) -> None:
        """Send more of the form, now or when there is room."""
        if not self._over:
            self._queue.append(data)
            self.pump()

    def pump(self) -> None:
        """Send what can be sent."""
        assert self._consumer is not None
        while self._queue and not self._paused and not self._over:
            self._consumer.write(bytes(self._queue.popleft()))
        if self._over:
            return
        if self._queue or self._paused:
            self._upload.hold()
        elif self._upload.complete:
            self._over = True
            self._done.callback(None)
        else:
            self._upload.read_on()

    def pauseProducing(self) -> None:
        self._paused = True
        if not self._over:
            self._upload.hold()

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._over:
            self.pump()

    def stopProducing(self) -> None:
        """Whoever was sent to wants no more; what still comes is dropped."""
        self._over = True
        self._queue.clear()
        self._upload.read_on()
