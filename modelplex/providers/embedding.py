"""Plans for embeddings: passed through in the guest's dialect, or translated."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from modelplex.errors import GatewayError
from modelplex.providers.plan import Plan
from modelplex.wire.asked import Asked
from modelplex.wire.embeddings import OPENAI_EMBEDDINGS, EmbeddingsDialect
from modelplex.wire.jsonobject import JsonObject, open_object
from modelplex.wire.openai.tap import whole_tap


def embeddings_of(asked: Asked) -> EmbeddingsDialect:
    """How the guest asks for vectors; OpenAI's way unless it says otherwise."""
    return asked.embeddings or OPENAI_EMBEDDINGS


def passed(
    path: str,
    body: bytes,
    decode_error: Callable[[int, bytes], GatewayError],
    limit: int,
) -> Plan:
    """The plan for a guest of the upstream's own dialect."""
    return Plan(
        path=path,
        body=body,
        reader=whole_tap(decode_error, limit),
        streamed=False,
        passed=True,
        decode_error=decode_error,
    )


def translated(
    asked: Asked,
    model: str,
    upstream: EmbeddingsDialect,
    path: str,
    decode_error: Callable[[int, bytes], GatewayError],
    limit: int,
) -> Plan:
    """
    The plan for a guest of another dialect, who is answered in its own.

    :raises BadRequest: the request is not what the guest's dialect says.
    :raises UnsupportedField: the upstream cannot be asked that.
    """
    guest = embeddings_of(asked)
    request = guest.decode_request(_changed(asked))
    encoded = upstream.encode_request(evolve(request, model=model))

    def rewrite(body: bytes) -> bytes:
        return guest.encode_reply(upstream.decode_reply(body), request)

    return Plan(
        path=path,
        body=encoded.body,
        reader=whole_tap(decode_error, limit, rewrite),
        streamed=False,
        passed=True,
        decode_error=decode_error,
        dropped=encoded.dropped,
    )


def _changed(asked: Asked) -> JsonObject:
    """The request as the guest's policy leaves it."""
    if not asked.changes:
        return asked.body
    return open_object(asked.body.splice(asked.changes))
