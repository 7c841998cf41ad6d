"""What closing a request gives, and what every dialect's closing looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from modelplex.guests.policy import Policy
from modelplex.wire.jsonobject import JsonObject


@frozen
class Admitted:
    """
    What a policy makes of a request.

    :ivar changes: for `JsonObject.splice`.
    :ivar dropped: what was taken out, for ``modelplex-dropped``.
    """

    changes: Mapping[str, bytes | None] = field(factory=dict)
    dropped: tuple[str, ...] = ()


class Closing(Protocol):
    """
    Hold a request of one dialect against a policy.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """

    def __call__(self, body: JsonObject, model: str, policy: Policy) -> Admitted: ...
