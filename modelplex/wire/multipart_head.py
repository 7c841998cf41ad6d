"""The header of one part of a form (RFC 7578 §4), read so that all readers agree."""

from __future__ import annotations

import re
from typing import NoReturn

from attrs import frozen

from modelplex.errors import BadRequest

_HEADER = re.compile(rb"([A-Za-z-]{1,40}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_DISPOSITION = re.compile(
    rb"form-data((?:[ \t]*;[ \t]*[a-z]+\*?=(?:\"[^\"\\]*\"|[^\s\";\\]+))+)[ \t]*",
    re.IGNORECASE,
)
_PARAMETER = re.compile(rb";[ \t]*([A-Za-z]+\*?)=(?:\"([^\"]*)\"|([^\s\";]+))")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}(?:\[[A-Za-z0-9_\-]{0,64}\]){0,4}")
_EXTENDED = re.compile(rb"utf-8'[A-Za-z0-9-]*'[\w!#$&+.^`|~%-]*", re.IGNORECASE)
_IN_UTF_8 = re.compile(
    rb'[\w.+-]+/[\w.+-]+(?:[ \t]*;[ \t]*charset="?(?:utf-8|us-ascii)"?)?[ \t]*',
    re.IGNORECASE,
)
_KNOWN = frozenset(
    [
        b"content-disposition",
        b"content-type",
        b"content-length",
        b"content-transfer-encoding",
    ]
)
_AS_IT_IS = (b"binary", b"8bit", b"7bit")
_CRLF = b"\r\n"


@frozen
class Part:
    """
    What the header of a part says.

    :ivar length: bytes of its content, if it says so.
    """

    name: str
    is_file: bool
    length: int | None


def part_of(head: bytes) -> Part:
    """
    What the lines of a header say, without the empty one at their end.

    :raises BadRequest: other readers might read something else.
    """
    said: dict[bytes, bytes] = {}
    for line in head.split(_CRLF):
        header = _HEADER.fullmatch(line)
        if header is None:
            refuse("a line in the header of a part is malformed")
        key = header[1].lower()
        if key in said or key not in _KNOWN:
            refuse(f"a part has a header {key.decode()!r} too many")
        said[key] = header[2].rstrip(b" \t")
    name, is_file = _disposition(said.get(b"content-disposition", b""))
    encoding = said.get(b"content-transfer-encoding", b"binary").lower()
    if encoding not in _AS_IT_IS:
        refuse(f"the part {name!r} has a content-transfer-encoding")
    if not is_file and not _IN_UTF_8.fullmatch(said.get(b"content-type", b"text/a")):
        refuse(f"the field {name!r} has a content-type that is no text in UTF-8")
    length = said.get(b"content-length")
    if length is not None and not (length.isdigit() and len(length) < 16):
        refuse(f"the content-length of the part {name!r} is no length")
    return Part(name, is_file, None if length is None else int(length))


def _disposition(value: bytes) -> tuple[str, bool]:
    """The name of a part, and whether it is a file."""
    found = _DISPOSITION.fullmatch(value)
    if found is None:
        refuse("a part has no content-disposition that names it")
    told: dict[bytes, bytes] = {}
    for key, quoted, plain in _PARAMETER.findall(found[1]):
        if key.lower() in told:
            refuse("a parameter of a content-disposition stands twice")
        told[key.lower()] = quoted or plain
    filename = told.pop(b"filename", None)
    # It comes beside the other (RFC 6266 §4.3); alone, not every reader sees a file.
    extended = told.pop(b"filename*", None)
    if extended is not None and (filename is None or not _EXTENDED.fullmatch(extended)):
        refuse("a part has a filename* without a filename")
    if told.keys() != {b"name"}:
        refuse("a content-disposition has other parameters than name and filename")
    name = told[b"name"].decode("latin-1")
    if not _NAME.fullmatch(name) or name == "_charset_":
        refuse("the name of a part has characters that no field of this API has")
    if filename is not None:
        try:
            filename.decode()
        except UnicodeDecodeError:
            refuse(f"the filename of {name!r} is not UTF-8")
    root = re.split(r"[\[.]", name, maxsplit=1)[0]
    if root.casefold() == "model" and (name != "model" or filename is not None):
        refuse("write the name of the field as 'model', without a filename")
    return name, filename is not None


def refuse(why: str) -> NoReturn:
    """Raise the `BadRequest` of a form that is not passed on."""
    raise BadRequest(f"the form cannot be read: {why}", code="invalid_form")
