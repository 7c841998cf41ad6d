"""What a guest asked, opened only as far as routing and policy need it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec
from attrs import define, evolve, field

from modelplex.events import Request
from modelplex.wire.counting import CountDialect
from modelplex.wire.dialect import Answering, Dialect
from modelplex.wire.embeddings import EmbeddingsDialect
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.reasoning import NOBODY, Origin, ReasoningMemory, Recorder
from modelplex.wire.relay import Relay


class Operation(Enum):
    """What is asked for, whatever the dialect."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    COUNT_TOKENS = "count_tokens"
    COMPACT = "compact"
    IMAGES = "images"
    AUDIO = "audio"
    MODERATIONS = "moderations"
    FILES = "files"


@define(eq=False)
class Asked:
    """
    One request of a guest, in its own dialect.

    :ivar changes: what the guest's policy makes of the body: key to new value, or to
        ``None`` for a key that is left out.
    :ivar headers: those of the guest's that may reach a provider.
    :ivar answering: what the reply must say about itself.
    :ivar embeddings: how vectors are asked for and answered, for `EMBEDDINGS`.
    :ivar counting: how a number of tokens is answered, for `COUNT_TOKENS`.
    :ivar relay: what is passed on as it is, for `IMAGES`, `AUDIO`, `MODERATIONS` and
        `FILES`.
    :ivar reasoning: the guest's memory of what its providers have proved.
    :ivar origin: who is asked just now.
    """

    operation: Operation
    dialect: Dialect
    body: JsonObject
    model: str
    stream: bool
    answering: Answering
    changes: Mapping[str, bytes | None] = field(factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    embeddings: EmbeddingsDialect | None = None
    counting: CountDialect | None = None
    relay: Relay | None = None
    reasoning: ReasoningMemory = field(factory=ReasoningMemory)
    origin: Origin = NOBODY
    _decoded: list[Request] = field(factory=list)  # shared by all that are asked

    @property
    def spent(self) -> bool:
        """A part of it has left and is not kept, so nobody else can be asked."""
        form = None if self.relay is None else self.relay.form
        return form is not None and form.spent

    def canonical(self) -> Request:
        """
        The request in no dialect; decoded once, when a candidate first needs it.

        :raises BadRequest: a field is not what the dialect says.
        """
        if not self._decoded:
            body = self.body
            if self.changes:
                body = open_object(body.splice(self.changes))
            self._decoded.append(self.dialect.decode_request(body))
        return self._decoded[0]

    def spliced(self, model: str, changes: Mapping[str, bytes | None]) -> bytes:
        """The guest's own bytes with `model` in place of its name for the model."""
        return self.without_model({**changes, "model": msgspec.json.encode(model)})

    def without_model(self, changes: Mapping[str, bytes | None]) -> bytes:
        """The guest's own bytes, in a dialect that names the model elsewhere."""
        changes = {**self.changes, **changes}
        foreign = self.reasoning.others_wrote(self.origin.provider)
        if taken := self.dialect.without_foreign(self.body, foreign):
            if not changes.keys() & taken.keys():
                return self.body.splice({**changes, **taken})
            body = open_object(self.body.splice(changes))
            return body.splice(self.dialect.without_foreign(body, foreign))
        return self.body.splice(changes)

    def canonical_for(self, model: str, *, stream: bool) -> Request:
        """The canonical request, addressed to an upstream's `model`."""
        request = self.reasoning.toward(self.origin, self.canonical())
        return evolve(request, model=model, stream=stream)

    def toward(self, origin: Origin) -> Asked:
        """The same, as `origin` is to be asked."""
        return evolve(self, origin=origin)

    def noted(self, proof: str) -> None:
        """Remember that `origin` wrote `proof` into its answer."""
        self.reasoning.wrote(self.origin.provider, proof)

    def recorder(self) -> Recorder:
        """What is to see every event of the answer of `origin`."""
        return self.reasoning.recorder(self.origin)
