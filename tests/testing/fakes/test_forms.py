from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelplex.testing.fakes.forms import form
from modelplex.testing.fakes.speaker import Asked, Refused

HEADERS = {"content-type": "multipart/form-data; boundary=edge"}


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_files_arrive_to_the_byte(contents: list[bytes]) -> None:
    assume(not any(b"--edge" in content for content in contents))
    told = b'Content-Disposition: form-data; name="%b"'
    body = b"--edge\r\n" + told % b"model" + b"\r\n\r\nm"
    for number, content in enumerate(contents):
        named = told % b"file" + b'; filename="%d.bin"' % number
        head = named + b"\r\nContent-Type: image/png\r\n\r\n"
        body += b"\r\n--edge\r\n" + head + content
    found = form(Asked("POST", "/", HEADERS, body + b"\r\n--edge--\r\n"))
    assert found.fields == (("model", "m"),) and found.get("model") == "m"
    assert [upload.content for upload in found.files] == contents
    assert [u.filename for u in found.files] == [
        f"{n}.bin" for n in range(len(contents))
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\nb',
        b"--edge\r\n\r\n\r\nb\r\n--edge--\r\n",
        b"--edge\r\nno header\r\n--edge--\r\n",
        b'x--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--edge--',
    ],
)
def test_a_broken_form_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        form(Asked("POST", "/", HEADERS, body))
    with pytest.raises(Refused, match="multipart"):
        form(Asked("POST", "/", {"content-type": "application/json"}, body))
