"""What the tables of a configuration are made of: kinds of values, and a table."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from modelplex.secret import Secret

DAY = 86_400.0  # seconds; no wait in this program is longer
TERABYTE = 1 << 40

Seconds = Annotated[float, Meta(gt=0, le=DAY, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1024, le=TERABYTE, extra={"unit": "bytes"})]
Mode = Annotated[int, Meta(extra={"unit": "mode"})]
Name = Annotated[str, Meta(extra={"unit": "name"})]
Path = Annotated[str, Meta(extra={"unit": "path"})]
Url = Annotated[str, Meta(extra={"unit": "url"})]
Text = Annotated[str, Meta(extra={"unit": "text"})]
Key = Annotated[Secret, Meta(extra={"unit": "key"})]


def says(description: str) -> Meta:
    """The description of a field, in reStructuredText."""
    return Meta(description=description)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the configuration file."""

    #: Keys of the design that a later version will read. They are refused, not
    #: ignored: a limit that is written down and not kept would fail open.
    later: ClassVar[frozenset[str]] = frozenset()
