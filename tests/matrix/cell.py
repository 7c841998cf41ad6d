"""One pair of a guest and an upstream, held against what the dialects declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define

from modelplex.testing.fakes.faults import Fault, Status
from modelplex.testing.fakes.script import Heard, Script
from modelplex.testing.fakes.upstream import Upstream
from modelplex.wire.fidelity import Fate, Feature, features
from modelplex.wire.inbound import INBOUND, Inbound
from modelplex.wire.jsonobject import open_object
from tests.matrix.asking import Ask, Guest, Said
from tests.matrix.columns import Column

_REASONING = {
    Feature.THINKING_BLOCKS,
    Feature.THINKING_SIGNATURE,
    Feature.REDACTED_THINKING,
}


class Refused(Exception):
    """The request was refused as declared, so there is no more to see of this case."""


@define(eq=False)
class Cell:
    """
    A guest, and the upstream that is to answer it.

    :ivar fast: the model that only this upstream has.
    """

    guest: Guest
    column: Column
    fake: Upstream
    fast: str = "fast"

    @property
    def passed(self) -> bool:
        """They speak the same, so that nothing is translated."""
        return self.guest.dialect.name == self.column.dialect.name

    @property
    def heard(self) -> Heard:
        """What the upstream understood of the last request."""
        heard = self.fake.posts()[-1].heard
        assert heard is not None
        return heard

    def says(self, fault: Fault | Status | None = None, **script: Any) -> None:
        """What the upstream says from now on."""
        self.fake.fault, self.fake.script = fault, Script(**script)

    def proofs(self) -> list[str]:
        """The proofs of reasoning that the upstream was sent last."""
        return self.column.proofs(self.fake.posts()[-1].body)

    def ask(self, history: Sequence[Any], ask: Ask, model: str | None = None) -> Said:
        """
        Ask, and see that no more is lost on the way than is declared.

        :raises Refused: it was refused, and had to be.
        """
        try:
            said = self.guest.ask(history, ask, model or self.fast)
        except Exception as e:
            refused = self._declared(Fate.REFUSED)
            if not refused:
                raise
            assert self.guest.error(e) == 400, e
            assert refused[0] in str(e)
            raise Refused(str(e)) from e
        assert not self._declared(Fate.REFUSED), "this had to be refused"
        listed = self.guest.traffic.answered.get("modelplex-dropped", "")
        told = set(listed.split(", ")) - {""}
        proves = self.column.dialect.fidelity.proves
        names = {
            name
            for feature, name in self._used()
            if self.column.dialect.fidelity.verdicts[feature].fate is Fate.DROPPED
            and not (proves and feature in _REASONING)
        }
        may = {
            name
            for feature, name in self._used()
            if self.verdict(feature) is Fate.ADAPTED
            or (proves and feature in _REASONING)
        }
        assert self.passed or names <= told <= names | may, (names, told)
        assert not self.passed or not told, told
        return said

    def verdict(self, feature: Feature) -> Fate:
        """What is declared of `feature`."""
        if self.passed:
            return Fate.CARRIED
        return self.column.dialect.fidelity.verdicts[feature].fate

    def _declared(self, fate: Fate) -> list[str]:
        """The names of whatever in the last request has this fate."""
        if self.passed:
            return []
        return [name for feature, name in self._used() if self.verdict(feature) is fate]

    def _used(self) -> list[tuple[Feature, str]]:
        """Everything that the last request used; the guest's API has words for it."""
        body = open_object(self.guest.traffic.sent)
        used = list(features(self.guest.dialect.decode_request(body)))
        never = inbound(self.guest.dialect.name).never
        assert never.isdisjoint(feature for feature, _ in used), used
        return used


def inbound(dialect: str) -> Inbound:
    """What guests of a dialect can ask for."""
    return next(one for one in INBOUND if one.dialect.name == dialect)
