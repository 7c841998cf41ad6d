"""Images, audio and moderations, closed by default: JSON, and forms by their fields."""

from __future__ import annotations

from modelplex.guests.admitted import Admitted
from modelplex.guests.policy import FILES, HOSTED_TOOLS, Policy
from modelplex.guests.references import (
    forbidden,
    look_at,
    only_the_model,
    parsed,
)
from modelplex.guests.rules import SEARCHING, Admission, Rules
from modelplex.wire.jsonobject import JsonObject

_RULES = Rules(
    harmless=frozenset(
        {
            *("model", "prompt", "n", "size", "quality", "background", "moderation"),
            *("style", "user", "response_format", "output_format", "stream"),
            *("output_compression", "partial_images", "input_fidelity", "seed"),
            *("instructions", "speed", "stream_format", "language", "temperature"),
            *("timestamp_granularities", "chunking_strategy", "include"),
            *("known_speaker_names", "purpose", "expires_after"),
        }
    ),
    own=frozenset(),
)


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold a request in JSON against a policy.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """
    admission = Admission(body, policy.allow)
    for key in body.spans:
        _RULES.hold(admission, key)
    return admission.admitted()


def close_field(name: str, value: str, policy: Policy) -> None:
    """
    Hold one field of a form against a policy; raises as `close` does.

    :param name: arrays have ``[]`` at its end, members of objects theirs.
    """
    root, _, rest = name.casefold().partition("[")
    if root in _RULES.harmless:
        return
    if root in _RULES.other_models:
        raise only_the_model(name)
    if root in SEARCHING and HOSTED_TOOLS not in policy.allow:
        raise forbidden(name, HOSTED_TOOLS)
    for key in (root, *rest.replace("]", "").split("[")):
        look_at(value, key, name, policy.allow)
    if value.lstrip()[:1] in ("{", "["):
        try:
            inner = parsed(value.encode(), name)
        except ValueError:
            return  # a text that begins like JSON
        look_at(inner, root, name, policy.allow)


def close_files(policy: Policy) -> None:
    """
    Ask whether a guest may use the provider's store of files at all.

    :raises Forbidden: it may not.
    """
    if FILES not in policy.allow:
        raise forbidden("files", FILES)
