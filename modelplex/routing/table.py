"""Which providers serve a model: a pure table over what the operator configured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import translate

from attrs import field, frozen

from modelplex.interfaces import IModelProvider
from modelplex.wire.asked import Operation

PREFIX = "modelplex-"  # what agents of the original program put before a name
_GLOB = re.compile(r"[*?\[]")
_COMPARED = 200  # names that an unknown one is compared with


def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def _same_start(one: str, other: str) -> int:
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return same


@frozen
class Candidate:
    """
    A target that may serve a request.

    :ivar name: what the guest's policy is held against; an alias, not the target.
    :ivar model: the provider's own name for the model.
    :ivar total: seconds its provider allows one exchange.
    """

    provider: IModelProvider
    name: str
    model: str
    priority: int = 1
    weight: int = 1
    total: float = 900.0

    @property
    def target(self) -> tuple[str, str]:
        """What cools down together."""
        return (self.provider.concern, self.model)


@frozen
class Offer:
    """
    What one provider offers: names and globs, each with the upstream's name for it.

    :ivar exact: name to upstream name; they differ for an alias.
    :ivar globs: (glob, its pattern, upstream name or ``None`` for the name as asked).
    """

    provider: IModelProvider
    exact: Mapping[str, str]
    globs: Sequence[tuple[str, re.Pattern[str], str | None]] = ()
    priority: int = 1
    weight: int = 1
    total: float = 900.0

    @classmethod
    def of(
        cls,
        provider: IModelProvider,
        models: Sequence[str] | Mapping[str, str],
        priority: int = 1,
        weight: int = 1,
        total: float = 900.0,
    ) -> Offer:
        """An offer from the `models` of a provider's configuration."""
        pairs = models if isinstance(models, Mapping) else dict.fromkeys(models)
        exact = {n: u or n for n, u in pairs.items() if not _GLOB.search(n)}
        globs = [(n, _compiled(n), u) for n, u in pairs.items() if _GLOB.search(n)]
        return cls(provider, exact, tuple(globs), priority, weight, total)

    def candidate(self, name: str) -> Candidate | None:
        """The candidate for `name`, if this provider offers it."""
        upstream = self.exact.get(name)
        if upstream is None:
            for _, pattern, target in self.globs:
                if pattern.match(name):
                    upstream = target or name
                    break
            else:
                return None
        return Candidate(
            self.provider, name, upstream, self.priority, self.weight, self.total
        )


@frozen
class RoutingTable:
    """Every offer there is; the one place where a name becomes candidates."""

    _offers: Sequence[Offer]
    _exact: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        names = frozenset(name for offer in self._offers for name in offer.exact)
        object.__setattr__(self, "_exact", names)

    @property
    def offers(self) -> Sequence[Offer]:
        """The offers, in the order of the configuration."""
        return self._offers

    def candidates(
        self, model: str, operation: Operation | None, pick: Callable[[], float]
    ) -> list[Candidate]:
        """
        Who may serve `model`, the first to ask first.

        A name listed by anybody is that name. Otherwise ``provider/name`` asks one
        provider, and ``modelplex-name`` is ``name``. Lower priority comes first;
        equal ones are shuffled by weight.

        :param operation: which API is asked for; ``None`` for any.
        :param pick: gives random numbers from 0 to 1.
        """
        found = [
            candidate
            for candidate in self._matching(model)
            if operation is None or candidate.provider.serves(operation)
        ]
        if len(found) < 2:
            return found
        order = {id(c): (c.priority, -(pick() ** (1 / c.weight))) for c in found}
        return sorted(found, key=lambda c: order[id(c)])

    def _matching(self, model: str) -> Iterable[Candidate]:
        if model not in self._exact:
            provider, slash, rest = model.partition("/")
            own = [o for o in self._offers if slash and o.provider.name == provider]
            if own:
                return [c for o in own if (c := o.candidate(rest)) is not None]
            if model.startswith(PREFIX):
                return self._matching(model.removeprefix(PREFIX))
        return [c for o in self._offers if (c := o.candidate(model)) is not None]

    def near(self, model: str, names: Iterable[str]) -> list[str]:
        """Those of `names` that `model` may have been meant to be, at most five."""
        asked = model.casefold()[:200]
        by_folded = {name.casefold(): name for name in names}
        # A guest may ask for what it likes, as often as it likes, so the work is
        # bounded: comparing with thousands of names takes tens of milliseconds.
        likely = sorted(by_folded, key=lambda name: -_same_start(name, asked))
        close = get_close_matches(asked, likely[:_COMPARED], n=5, cutoff=0.5)
        return [by_folded[name] for name in close]
