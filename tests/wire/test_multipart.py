"""Forms: read the same however they are cut, and refused where readers disagree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import BadRequest
from modelplex.testing.pieces import chopped
from modelplex.wire.multipart import (
    MAX_FIELD,
    MAX_HEAD,
    MAX_PARTS,
    Field,
    FormReader,
    boundary_of,
    content_type_of,
    first_line,
    model_part,
)

B = b"X-bound.ary"


def part(head: bytes, content: bytes) -> bytes:
    return b"--" + B + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def named(name: bytes, content: bytes = b"v", more: bytes = b"") -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"' + more
    return part(head, content)


def upload(content: bytes = b"\0\xff", name: bytes = b"file") -> bytes:
    more = b'; filename="a.mp3"\r\nContent-Type: audio/mpeg'
    return named(name, content, more)


END = b"--" + B + b"--\r\n"


def read(form: bytes) -> list[bytes | Field]:
    reader = FormReader(B)
    found = reader.feed(form)
    reader.eof()
    return found


def raw(found: list[bytes | Field]) -> bytes:
    return b"".join(one.raw if isinstance(one, Field) else one for one in found)


def fields(found: list[bytes | Field]) -> list[tuple[str, str]]:
    return [(one.name, one.value) for one in found if isinstance(one, Field)]


NAMES = st.sampled_from(["file", "image[]", "include[]", "prompt", "a-b", "x.y", "n"])
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.text("\r\n-Xbound.ary", max_size=60).map(str.encode),
    st.integers(0, 12).map(lambda n: b"\r\n--" + B[:-1] + b"\r" * n),
).filter(lambda content: b"--" + B not in b"\r\n" + content + b"\r\n")
TEXTS = st.text(max_size=100).filter(lambda text: "--" + B.decode() not in text)
PARTS = st.one_of(
    st.tuples(NAMES, CONTENTS, st.just(True)),
    st.tuples(NAMES, TEXTS.map(lambda t: t.encode("utf-8", "ignore")), st.just(False)),
)


@given(st.lists(PARTS, max_size=6), st.data())
def test_cutting_never_matters(parts: list[Any], data: st.DataObject) -> None:
    form = b"".join(
        upload(content, name.encode()) if is_file else named(name.encode(), content)
        for name, content, is_file in parts
    )
    form += END
    reader = FormReader(B)
    found: list[bytes | Field] = []
    for piece in data.draw(chopped(form)):
        found += reader.feed(piece)
    reader.eof()
    assert raw(found) == form
    told = [(n, c.decode()) for n, c, is_file in parts if not is_file]
    assert fields(found) == told


@given(st.binary(max_size=400), st.booleans(), st.data())
def test_whatever_comes_it_is_read_or_refused(
    noise: bytes, begins: bool, data: st.DataObject
) -> None:
    form = upload(b"a")[:-2] + noise if begins else noise
    reader = FormReader(B)
    found: list[bytes | Field] = []
    try:
        for piece in data.draw(chopped(form)):
            found += reader.feed(piece)
        reader.eof()
    except BadRequest:
        pass
    else:
        assert raw(found) == form


def test_a_byte_at_a_time_a_file_is_given_before_its_end() -> None:
    reader = FormReader(B)
    form = upload(b"abc" * 100)
    given = [piece for byte in form for piece in reader.feed(bytes([byte]))]
    assert len(form) - 20 < len(raw(given)) < len(form)
    assert not reader.done


def test_a_field_is_given_once_it_is_complete_with_its_boundary() -> None:
    reader = FormReader(B)
    assert reader.feed(named(b"model", b"gpt")[:-2]) == []
    [one] = reader.feed(b"\r\n--" + B)
    assert one == Field("model", "gpt", named(b"model", b"gpt")[:-2], first_line(B))
    later = reader.feed(b"\r\n" + named(b"n", b"1")[len(first_line(B)) :] + END)
    assert fields(later) == [("n", "1")]
    [second, _, _] = later
    assert isinstance(second, Field) and second.start == b"\r\n" + first_line(B)


def test_the_model_is_replaced_by_a_part_that_reads_the_same() -> None:
    form = upload() + named(b"model", "größe".encode(), b"\r\nContent-Type: text/plain")
    found = read(form + END)
    [model] = [one for one in found if isinstance(one, Field)]
    changed = [one for one in found if isinstance(one, bytes)]
    at = found.index(model)
    changed.insert(at, model_part(model.start, "whisper-ü"))
    assert fields(read(b"".join(changed))) == [("model", "whisper-ü")]


def test_a_form_without_parts_is_one() -> None:
    assert read(END) == [END[:-2], b"\r\n"]
    assert read(END[:-2]) == [END[:-2]]


@pytest.mark.parametrize(
    "form",
    [
        b"",
        upload(),
        upload() + END[:-3],
        upload()[:-1],
        b"--" + B,
        b"--" + B + b"\r\n",
        named(b"model")[:-4],
    ],
)
def test_a_form_that_is_cut_off_is_refused(form: bytes) -> None:
    with pytest.raises(BadRequest, match="ended before"):
        read(form)


GOOD = b'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "form",
    [
        # what stands around the parts
        b"preamble\r\n" + upload() + END,
        b"\r\n" + upload() + END,
        upload() + END + b"epilogue",
        upload() + END + b"\r\n",
        upload() + b"--" + B + b"-- \r\n",
        b"--" + B + b" \r\n" + upload()[len(B) + 4 :] + END,
        b"--" + B + b"\n" + upload()[len(B) + 4 :] + END,
        b"--" + B + b"x\r\n" + upload()[len(B) + 4 :] + END,
        upload(b"a\n--" + B + b'\nContent-Disposition: form-data; name="model"') + END,
        upload(b"a\r--" + B + b"\r") + END,
        upload(b"a--" + B) + END,
        upload(b"--" + B) + END,
        upload(b"a\r\n--" + B + b"y") + END,
        # headers
        part(b"", b"v") + END,
        part(b"Content-Type: text/plain", b"v") + END,
        part(GOOD + b"\r\n" + GOOD, b"v") + END,
        part(GOOD + b"\r\ncontent-disposition: form-data", b"v") + END,
        part(GOOD + b"\r\nX-Other: 1", b"v") + END,
        part(GOOD + b"\r\n folded", b"v") + END,
        part(GOOD + b'; \r\n filename="x"', b"v") + END,
        part(GOOD + b"\nContent-Type: text/plain", b"v") + END,
        part(GOOD + b"\r\nContent-Type : text/plain", b"v") + END,
        part(GOOD + b"\r\nContent-Transfer-Encoding: base64", b"dg==") + END,
        part(GOOD + b"\r\nContent-Transfer-Encoding: quoted-printable", b"v") + END,
        part(GOOD + b"\r\nContent-Type: text/plain; charset=utf-16", b"v") + END,
        part(GOOD + b"\r\nContent-Type: text/plain; charset=utf-7", b"v") + END,
        part(GOOD + b"\r\nContent-Length: 2", b"v") + END,
        part(GOOD + b"\r\nContent-Length: -1", b"v") + END,
        part(GOOD + b"\r\nContent-Length: " + b"9" * 20, b"v") + END,
        part(b"X" * MAX_HEAD + GOOD, b"v") + END,
        # names
        part(b"Content-Disposition: form-data", b"v") + END,
        part(b'Content-Disposition: attachment; name="a"', b"v") + END,
        part(b"Content-Disposition: form-data; name*=utf-8''model", b"v") + END,
        part(GOOD + b"; name*=utf-8''model", b"v") + END,
        part(GOOD + b'; name="model"', b"v") + END,
        part(GOOD + b'; Name="model"', b"v") + END,
        part(GOOD + b'; NAME="model"', b"v") + END,
        part(GOOD + b'; size="1"', b"v") + END,
        part(GOOD + b"; filename*=utf-8''a", b"v") + END,
        part(GOOD + b"; filename=\"a\"; filename*=koi8-r''a", b"v") + END,
        part(GOOD + b'; filename="a\\"; name=\\"model"', b"v") + END,
        part(GOOD + b'; filename="\xff"', b"v") + END,
        part(GOOD + b'; filename="a"b"', b"v") + END,
        named(b"mod\\el") + END,
        named(b"%6dodel") + END,
        named(b"m\xc3\xb6del") + END,
        named(b"mo del") + END,
        named(b"") + END,
        named(b"_charset_", b"utf-16") + END,
        named(b"Model") + END,
        named(b"MODEL") + END,
        named(b"model[]") + END,
        named(b"model.name") + END,
        named(b"Model[0]") + END,
        named(b"model", b"a") + named(b"model", b"b") + END,
        named(b"model", b"a") + named(b"model", b"a") + END,
        upload(name=b"model") + END,
        named(b"model", b"a", b'; filename=""') + END,
        # values
        named(b"prompt", b"\xff") + END,
        named(b"prompt", b"x" * (MAX_FIELD + 1)) + END,
        named(b"n") * (MAX_PARTS + 1) + END,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(form: bytes) -> None:
    for reader_fed in (lambda: read(form), lambda: _by_bytes(form)):
        with pytest.raises(BadRequest) as caught:
            reader_fed()
        assert "ended before" not in str(caught.value)


def _by_bytes(form: bytes) -> None:
    reader = FormReader(B)
    for start in range(0, len(form), 7):
        reader.feed(form[start : start + 7])
    reader.eof()


@pytest.mark.parametrize(
    "form",
    [
        # OkHttp, ktor
        part(
            GOOD + b"\r\nContent-Length: 1\r\nContent-Transfer-Encoding: binary", b"v"
        ),
        # .NET
        part(
            b"Content-Disposition: form-data; name=a; filename=b; filename*=utf-8''b",
            b"\0",
        ),
        # Apache
        part(
            GOOD + b"\r\nContent-Type: text/plain; charset=UTF-8\r\n"
            b"Content-Transfer-Encoding: 8bit",
            b"v",
        ),
        # aiohttp, requests, browsers
        named(b"file", b"\0", b'; filename="a%22b \xc3\xbc;x.png"'),
        named(b"timestamp_granularities[]", b"word"),
        named(b"expires_after[anchor]", b"created_at"),
        named(b"metadata", b'{"a":1}', b"\r\nContent-Type: application/json"),
        named(b"a") * MAX_PARTS,
        named(b"prompt", b"x" * MAX_FIELD),
        named(b"prompt", b""),
        upload(b""),
        upload(b"\r\n"),
        upload(b"\r\n--X-bound.ar"),
        upload(b"-" * 70),
    ],
)
def test_what_clients_really_send_is_read(form: bytes) -> None:
    assert raw(read(form + END)) == form + END


@pytest.mark.parametrize(
    ("given", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b"Multipart/Form-Data;boundary=abc ", b"abc"),
        (b'multipart/form-data; boundary="abc"', b"abc"),
        (b'multipart/form-data; boundary="a/b=c?d:e"', b"a/b=c?d:e"),
        (b"multipart/form-data; charset=utf-8; boundary=a", b"a"),
        (b"multipart/form-data; boundary=a; charset=UTF-8", b"a"),
        (b"multipart/form-data; boundary=" + b"a" * 70, b"a" * 70),
    ],
)
def test_a_boundary_is_read_and_written_in_one_way(
    given: bytes, boundary: bytes
) -> None:
    assert boundary_of(given) == boundary
    assert boundary_of(content_type_of(boundary)) == boundary


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"application/json",
        b"multipart/form-data",
        b"multipart/mixed; boundary=a",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=a b",
        b'multipart/form-data; boundary="a ',
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data; boundary=a/b",
        b"multipart/form-data; boundary=" + b"a" * 71,
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a,multipart/form-data; boundary=b",
        b"multipart/form-data; boundary*=utf-8''a",
        b"multipart/form-data; boundary=a; charset=utf-16",
    ],
)
def test_a_boundary_that_readers_disagree_about_is_refused(given: bytes) -> None:
    with pytest.raises(BadRequest):
        boundary_of(given)
