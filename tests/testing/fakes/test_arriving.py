from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelplex.testing.fakes.arriving import Arriving, Came
from modelplex.testing.pieces import cut

FIRST = b"POST /v1/files?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
SECOND = (
    b"POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nab\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
)
THIRD = b"GET / HTTP/1.1\r\n\r\n"


@given(cut((FIRST + SECOND + THIRD).decode()))
def test_chunking_never_matters(pieces: list[str]) -> None:
    arriving, found = Arriving(), list[Came]()
    for piece in pieces:
        arriving.feed(piece.encode())
        while (came := arriving.take()) is not None:
            found.append(came)
    assert not arriving.begun
    assert [(came.target, came.body) for came in found] == [
        ("/v1/files?a=b", b"hello"),
        ("/v1/files", b"ab\n0123456789"),
        ("/", b""),
    ]


@given(st.binary(max_size=200), st.data())
def test_a_body_arrives_to_the_byte(body: bytes, data: st.DataObject) -> None:
    arriving = Arriving()
    arriving.feed(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    rest = body
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        arriving.feed(b"%x\r\n%b\r\n" % (size, rest[:size]))
        rest = rest[size:]
    assert arriving.take() is None and arriving.begun
    arriving.feed(b"0\r\n\r\n")
    came = arriving.take()
    assert came is not None and came.body == body
