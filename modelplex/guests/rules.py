"""What the members of a dialect's request mean to a policy, by their names."""

from __future__ import annotations

from attrs import define, field, frozen

from modelplex.guests.admitted import Admitted
from modelplex.guests.hosted import Sifted
from modelplex.guests.policy import HOSTED_TOOLS, SERVER_STATE
from modelplex.guests.references import (
    OFF,
    forbidden,
    look_through,
    only_the_model,
    other_spelling,
)
from modelplex.wire.jsonobject import JsonObject

# What gateways have of their own, which they may take in any dialect they speak:
# OpenRouter, xAI, DashScope, Azure and others.
SEARCHING = frozenset(
    {
        *("web_search_options", "plugins", "search_parameters", "enable_search"),
        *("web_search", "mcp_servers", "search_options", "connectors"),
        "data_sources",  # Azure searches an endpoint that the request names
    }
)
OTHER_MODELS = frozenset({"models", "fallbacks", "route", "preset"})


@define
class Admission:
    """A request that is being held against what its guest may use."""

    body: JsonObject
    allow: frozenset[str]
    changes: dict[str, bytes | None] = field(factory=dict)
    dropped: list[str] = field(factory=list)

    def raw(self, key: str) -> bytes:
        """The value of a member that is there."""
        value = self.body.raw(key)
        assert value is not None
        return value

    def drop(self, key: str) -> None:
        """Take a member out."""
        self.changes[key] = None
        self.dropped.append(key)

    def keep(self, sifted: Sifted, key: str, *choices: str) -> None:
        """Send the tools that are left; none also take away the choice among them."""
        self.changes[key] = sifted.text
        self.dropped += sifted.dropped
        if sifted.text is None:
            # Providers refuse a choice among no tools.
            self.changes |= {name: None for name in choices if name in self.body}

    def admitted(self) -> Admitted:
        return Admitted(self.changes, tuple(self.dropped))


@frozen
class Rules:
    """
    The members of a request; what is in none of these, and does not search in any
    dialect (`SEARCHING`), is looked through.

    :ivar harmless: settings that hold neither tools nor references. Their values are
        not looked at.
    :ivar own: what the dialect looks into itself.
    :ivar state: what a provider keeps for later, or kept.
    :ivar other_models: what names a model beside the one that was asked for.
    """

    harmless: frozenset[str]
    own: frozenset[str]
    state: frozenset[str] = frozenset()
    other_models: frozenset[str] = OTHER_MODELS

    def hold(self, admission: Admission, key: str, name: str | None = None) -> None:
        """
        Hold one member, which is not one of `own`, against the rules.

        :param name: what `key` is called in the rules, if it may be spelt otherwise.
        :raises GatewayError: it is refused.
        """
        name = key if name is None else name
        allow = admission.allow
        if name in self.harmless:
            return
        if name in SEARCHING:
            if HOSTED_TOOLS not in allow:
                admission.drop(key)
        elif name in self.state:
            if SERVER_STATE not in allow and admission.raw(key) not in OFF:
                raise forbidden(key, SERVER_STATE)
        elif name in self.other_models:
            if admission.raw(key) != b"null":
                raise only_the_model(key)
        else:
            plain = key.casefold()
            for group in (self.own, self.harmless, SEARCHING, self.state):
                if plain in group:
                    raise other_spelling(key, plain)
            if plain in self.other_models:
                raise other_spelling(key, plain)
            look_through(admission.raw(key), key, allow)
