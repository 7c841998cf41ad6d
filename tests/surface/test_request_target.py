"""Request targets that never reach a resource."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelplex.surface.request_target import objection


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/v1/chat/completions",
        b"/v1/models/gpt-4.1",
        b"/v1/models/.hidden",
        b"/v1/models/a%2Fb:c",
        b"/v1/models/a/b:c",
        b"/v1/v1/models/org%2fmodel",
        b"/v1beta/models/gemini-2.5-pro:generateContent?alt=sse&key=x",
        b"/v1/models/%C3%BC",
        b"/health?",
        b"/v1/models?after=%2F..%2F",
        b"/v1/..hidden/x",
    ],
)
def test_what_clients_send_is_let_through(target: bytes) -> None:
    assert objection(target) is None


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"example.com:443",
        b"http://example.com/v1/models",
        b"v1/models",
        b"/v1/../admin",
        b"/v1/./models",
        b"/..",
        b"/v1/%2e%2e/admin",
        b"/v1/.%2E/admin",
        b"/v1/models/..%2f..%2fadmin",
        b"/v1/models/x%2F..",
        b"/v1%2fmodels",
        b"/v1%2Fmodels/x",
        b"/v1/chat%2fcompletions",
        b"/v1/models/%00",
        b"/v1/models/%0d%0aX:y",
        b"/v1/models/%7f",
        b"/v1/models/%ff",
        b"/v1/models/%zz",
        b"/v1/models/x%",
        b"/v1/m\x80dels",
        b"/v1/models/\xc3\xbc",
        b"/health#x",
        b"/health?x=%00",
    ],
)
def test_the_rest_is_a_client_error(target: bytes) -> None:
    refused = objection(target)
    assert refused is not None
    assert refused.status in (400, 404)


pieces = st.sampled_from(
    [b"/", b".", b"..", b"%2e", b"%2F", b"%00", b"%", b"?", b"models/", b"v1", b"\xe9"]
)


@given(target=st.lists(st.one_of(pieces, st.binary(max_size=3))).map(b"".join))
@example(target=b"/models/a%2fb")
def test_what_is_let_through_is_a_plain_path(target: bytes) -> None:
    if objection(target) is not None:
        return
    path = target.partition(b"?")[0]
    plain = unquote_to_bytes(path)
    plain.decode()
    assert path.startswith(b"/")
    assert not {b".", b".."} & set(plain.split(b"/"))
    assert all(byte >= 0x20 and byte != 0x7F for byte in plain)
    assert b"%2f" not in path.lower().partition(b"/models/")[0]
