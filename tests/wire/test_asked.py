"""A guest's request on its way: its own bytes, or the canonical form of them."""

from __future__ import annotations

import pytest

from modelplex.errors import BadRequest
from modelplex.wire.asked import Asked, Operation
from modelplex.wire.dialect import Answering
from modelplex.wire.jsonobject import open_object
from modelplex.wire.openai.dialect import OPENAI_CHAT

BODY = b'{ "model":"fast", "store":true,"messages":[{"role":"user","content":"Hi"}]}'


def asked(body: bytes = BODY, **changes: bytes | None) -> Asked:
    return Asked(
        Operation.CHAT,
        OPENAI_CHAT,
        open_object(body),
        "fast",
        False,
        Answering("fast", 0),
        changes,
    )


def test_the_upstream_gets_the_guests_bytes_but_for_the_model() -> None:
    assert asked().spliced('m"\n', {}) == BODY.replace(b'"fast"', rb'"m\"\n"')


def test_what_the_policy_and_the_provider_change_is_changed() -> None:
    request = asked(store=b"false")
    assert request.spliced("m", {"stream": b"true"}) == (
        b'{ "model":"m", "store":false,"messages":[{"role":"user","content":"Hi"}],'
        b'"stream":true}'
    )
    # The model is what routing says, whatever anybody changes.
    assert b'"model":"m"' in request.spliced("m", {"model": b'"other"'})


def test_the_canonical_request_has_what_the_policy_made_of_it() -> None:
    assert asked().canonical().extra == {"store": True}
    request = asked(store=None)
    assert request.canonical().extra == {}
    assert request.canonical() is request.canonical()
    sent = request.canonical_for("up", stream=True)
    assert (sent.model, sent.stream) == ("up", True)
    assert (request.canonical().model, request.canonical().stream) == ("fast", False)


def test_a_request_is_decoded_only_when_it_is_translated() -> None:
    wrong = asked(b'{"model":"fast","messages":7}')
    assert wrong.spliced("m", {}) == b'{"model":"m","messages":7}'
    with pytest.raises(BadRequest, match="messages"):
        wrong.canonical()
