"""Plans for what an OpenAI API gets and answers as it is: media, and files."""

from __future__ import annotations

from collections.abc import Callable

from modelplex.errors import GatewayError
from modelplex.providers.plan import Plan
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.relay import Relay, RelayReader

OPERATIONS = frozenset(
    {Operation.IMAGES, Operation.AUDIO, Operation.MODERATIONS, Operation.FILES}
)


def relayed(
    asked: Asked,
    relay: Relay,
    model: str,
    decode_error: Callable[[int, bytes], GatewayError],
) -> Plan:
    """The plan for a request of the guest's with `model` in place of its name."""
    form = relay.form
    has_json = form is None and relay.method == b"POST"
    return Plan(
        path=relay.path,
        body=asked.spliced(model, {}) if has_json else b"",
        form=None if form is None else form.sent_as(model),
        reader=RelayReader(),
        streamed=asked.stream,
        passed=True,
        decode_error=decode_error,
        method=relay.method,
        media_type=b"application/json" if form is None else form.media_type,
        relayed=True,
        any_type=asked.operation is Operation.FILES,
    )
