"""Content codings of a request body."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest, GatewayError, TooLarge
from modelplex.surface.body import MAX_MEMBERS, decoded

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def bare_deflate(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"zstd": zstd.compress,
    b"identity": lambda plain: plain,
}
codings = st.sampled_from(sorted(PACKERS))


@given(plain=st.binary(min_size=1), applied=st.lists(codings, max_size=3))
def test_codings_are_undone_in_reverse_order(
    plain: bytes, applied: list[bytes]
) -> None:
    packed = plain
    for coding in applied:
        packed = PACKERS[coding](packed)
    assert decoded(packed, b", ".join(applied).upper(), 10**6) == plain


@given(plain=st.binary(min_size=1))
def test_deflate_without_its_framing_is_understood(plain: bytes) -> None:
    assert decoded(bare_deflate(plain), b"deflate", 10**6) == plain


@given(body=st.binary(), encoding=st.sampled_from([b"gzip", b"deflate", b"zstd"]))
def test_any_bytes_give_a_body_or_our_error(body: bytes, encoding: bytes) -> None:
    try:
        assert len(decoded(body, encoding, 1000)) <= 1000
    except GatewayError as error:
        assert error.status in (400, 413)


@given(
    plain=st.binary(min_size=1, max_size=2000),
    coding=codings,
    missing=st.integers(min_value=1, max_value=4),
)
def test_a_truncated_body_is_never_taken_for_a_whole_one(
    plain: bytes, coding: bytes, missing: int
) -> None:
    packed = PACKERS[coding](plain)[:-missing]
    if coding == b"identity" or not packed:
        return
    with pytest.raises(BadRequest):
        decoded(packed, coding, 10**6)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"zstd"])
def test_the_limit_counts_decompressed_bytes(coding: bytes) -> None:
    bomb = PACKERS[coding](bytes(10**6))
    assert len(bomb) < 2000
    assert len(decoded(bomb, coding, 10**6)) == 10**6
    with pytest.raises(TooLarge):
        decoded(bomb, coding, 10**6 - 1)


def test_a_bomb_inside_a_bomb_is_stopped_at_the_first_step_over_the_limit() -> None:
    nested = gzip.compress(gzip.compress(bytes(10**7)))
    with pytest.raises(TooLarge):
        decoded(nested, b"gzip, gzip", 1000)


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
def test_several_members_are_one_body(coding: bytes) -> None:
    pack = PACKERS[coding]
    assert decoded(pack(b"one ") + pack(b"two"), coding, 100) == b"one two"


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
def test_members_share_one_limit_and_are_counted(coding: bytes) -> None:
    member = PACKERS[coding](bytes(60))
    with pytest.raises(TooLarge):
        decoded(member * 2, coding, 100)
    with pytest.raises(BadRequest):
        decoded(PACKERS[coding](b"") * (MAX_MEMBERS + 1), coding, 100)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"zstd"])
def test_anything_after_the_end_is_refused(coding: bytes) -> None:
    with pytest.raises(BadRequest):
        decoded(PACKERS[coding](b"{}") + b"trailing", coding, 100)


@pytest.mark.parametrize("encoding", [b"br", b"gzip, compress", b"\xff", b"a" * 9999])
def test_an_unknown_coding_is_a_415(encoding: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        decoded(b"{}", encoding, 100)
    assert refused.value.status == 415
    assert len(str(refused.value)) < 200


def test_too_many_codings_are_refused() -> None:
    with pytest.raises(BadRequest):
        decoded(b"{}", b"gzip," * 50, 100)


def test_an_empty_body_needs_no_decoding() -> None:
    assert decoded(b"", b"gzip", 100) == b""
