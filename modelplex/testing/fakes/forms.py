"""Multipart forms as a fake upstream reads them: strictly, and to the byte."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from attrs import field, frozen

from modelplex.testing.fakes.speaker import Asked, Refused

_BOUNDARY = re.compile(r'multipart/form-data;.*\bboundary="?([^";]+)"?', re.I)
_NAME = re.compile(r'[; ]name="([^"]*)"')
_FILENAME = re.compile(r'[; ]filename="([^"]*)"')


@frozen
class Upload:
    """One file of a form."""

    name: str
    filename: str
    media_type: str
    content: bytes = field(repr=False)

    def facts(self) -> dict[str, str | int]:
        """What a test can hold against what it has sent."""
        return {
            "name": self.name,
            "filename": self.filename,
            "type": self.media_type,
            "bytes": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }


@frozen
class Form:
    """
    A form.

    :ivar fields: (name, value) of everything that is no file, in order.
    """

    fields: tuple[tuple[str, str], ...]
    files: tuple[Upload, ...]

    def get(self, name: str) -> str | None:
        """The first value of a field."""
        return dict(reversed(self.fields)).get(name)

    def facts(self) -> dict[str, object]:
        """Everything that arrived, for a test to compare."""
        files = [upload.facts() for upload in self.files]
        return {"fields": [list(pair) for pair in self.fields], "files": files}


def form(asked: Asked) -> Form:
    """
    The form in a request.

    :raises Refused: the body is none.
    """
    found = _BOUNDARY.match(asked.headers.get("content-type", ""))
    if found is None:
        raise Refused(415, "Unsupported content type: multipart/form-data is expected")
    fields: list[tuple[str, str]] = []
    files: list[Upload] = []
    for head, content in _parts(asked.body, found[1].encode("latin-1")):
        pairs = (line.partition(":") for line in head.decode().split("\r\n"))
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        told = headers.get("content-disposition", "")
        named, filed = _NAME.search(told), _FILENAME.search(told)
        if named is None:
            raise Refused(400, "a part of the form has no name")
        if filed is None:
            fields.append((named[1], content.decode()))
            continue
        kind = headers.get("content-type", "")
        files.append(Upload(named[1], filed[1], kind, content))
    return Form(tuple(fields), tuple(files))


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The header and the content of each part."""
    mark = b"\r\n--" + boundary
    first, *parts = (b"\r\n" + body).split(mark)
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise Refused(400, "the form does not begin or end with its boundary")
    for part in parts:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found or not head.startswith(b"\r\n"):
            raise Refused(400, "a part of the form has no header")
        yield head[2:], content
