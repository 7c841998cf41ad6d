"""What a guest asked, opened only as far as routing and policy need it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec
from attrs import define, evolve, field

from modelplex.events import Request
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.jsonobject import JsonObject, open_object


class Operation(Enum):
    """What is asked for, whatever the dialect."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


@define(eq=False)
class Asked:
    """
    One request of a guest, in its own dialect.

    :ivar changes: what the guest's policy makes of the body: key to new value, or to
        ``None`` for a key that is left out.
    :ivar headers: those of the guest's that may reach a provider.
    :ivar answering: what the reply must say about itself.
    """

    operation: Operation
    dialect: Dialect
    body: JsonObject
    model: str
    stream: bool
    answering: Answering
    changes: Mapping[str, bytes | None] = field(factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    _request: Request | None = None

    def canonical(self) -> Request:
        """
        The request in no dialect; decoded once, when a candidate first needs it.

        :raises BadRequest: a field is not what the dialect says.
        """
        if self._request is None:
            body = self.body
            if self.changes:
                body = open_object(body.splice(self.changes))
            self._request = self.dialect.decode_request(body)
        return self._request

    def spliced(self, model: str, changes: Mapping[str, bytes | None]) -> bytes:
        """The guest's own bytes with `model` in place of its name for the model."""
        return self.body.splice(
            {**self.changes, **changes, "model": msgspec.json.encode(model)}
        )

    def canonical_for(self, model: str, *, stream: bool) -> Request:
        """The canonical request, addressed to an upstream's `model`."""
        return evolve(self.canonical(), model=model, stream=stream)
