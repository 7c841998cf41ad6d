"""What is passed on as it is: images, audio, moderations and files."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import define, frozen

from modelplex.errors import GatewayError
from modelplex.events import Usage


class Form(Protocol):
    """
    A form on its way from the guest.

    :ivar media_type: its ``Content-Type``.
    :ivar spent: a part of it has left and is not kept, so nobody else can get it.
    """

    @property
    def media_type(self) -> bytes: ...

    @property
    def spent(self) -> bool: ...

    def sent_as(self, model: str) -> Any:
        """Twisted's ``IBodyProducer`` of the form, asking for `model`; "" for none."""


@frozen
class Relay:
    """
    A request that a provider gets as it is, but for the name of the model.

    :ivar path: below the API's version segment; may have a query.
    :ivar form: the body, unless that is JSON or there is none.
    """

    method: bytes
    path: str
    form: Form | None = None


@frozen
class Head:
    """
    How an answer begins.

    :ivar length: bytes of its body, if that is known.
    """

    status: int
    media_type: bytes
    length: int | None


@define(eq=False)
class RelayReader:
    """
    Looks at nothing; see `modelplex.wire.reading.Reader`.

    :ivar head: set when it is there.
    """

    head: Head | None = None
    meaningful: bool = False
    done: bool = False
    usage: Usage | None = None
    finish: str | None = None
    error: GatewayError | None = None

    def feed(self, chunk: bytes) -> bytes:
        self.meaningful = True
        return chunk

    def eof(self) -> bytes:
        return b""
