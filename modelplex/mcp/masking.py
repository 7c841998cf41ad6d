"""Secrets found in text, in every form that they usually take, and hidden: pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from modelplex.secret import Secret

SHORTEST = 8  # characters; a shorter one would be found in any text
SHOWN = "***"


@frozen
class Mask:
    """
    Replaces secrets in a text by ``***``.

    They are found as they are, percent-encoded, in hexadecimal and in base64, wherever
    in a longer text they were encoded. One that is shorter than `SHORTEST` is not
    looked for, and one that is split over several texts is not found.
    """

    secrets: tuple[Secret, ...] = ()
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        forms = {form for one in self.secrets for form in _forms(one.reveal())}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        pattern = "|".join(re.escape(form) for form in longest_first)
        object.__setattr__(self, "_pattern", re.compile(pattern) if pattern else None)

    @classmethod
    def of(cls, secrets: Iterable[Secret]) -> Mask:
        """A mask for all of `secrets` that are long enough."""
        return cls(tuple(dict.fromkeys(secrets)))

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(SHOWN, text)


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < SHORTEST:
        return
    data = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield quote(data, safe="")
    yield quote_plus(data)
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        # What surrounds it changes the first and the last characters only.
        encoded = b64encode(b"\0" * before + data).decode("ascii")
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        core = encoded[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")
