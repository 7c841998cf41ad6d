"""
What tool servers say, made safe to be shown to a model and to be kept: pure.

Text for a model can hold what a person who reads it does not see: instructions in tag
characters, words turned around, control sequences. These are marked or stripped, the
operator's secrets are masked, and what is too large is cut and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import define, field, frozen

from modelplex.mcp.masking import Mask
from modelplex.mcp.unseen import marked, stripped

DEEPEST = 64  # levels; what is deeper is left out

#: Members that give a block its form; they are not counted and never cut.
_SHAPE = ("type", "uri", "mimeType", "role", "name")

Mode: TypeAlias = Literal["mark", "strip", "off"]


@frozen
class Cleaned:
    """
    A result as it may be shown.

    :ivar size: bytes of texts and of encoded blobs that came, before anything was cut.
    :ivar blobs: how many encoded blobs.
    :ivar cut: something was left out.
    """

    value: Any = field(repr=False)
    size: int
    blobs: int
    cut: bool


@frozen
class Hygiene:
    """
    How the words of servers are treated.

    :ivar mode: what becomes of characters that are not seen.
    :ivar mask: hides the operator's secrets.
    """

    mode: Mode = "mark"
    mask: Mask = field(factory=Mask)

    def text(self, text: str) -> str:
        """`text` as it may be shown."""
        # After stripping, or a secret could be taken apart by what is not seen.
        return self.mask(self._visible(text))

    def entry(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        A tool, resource, template or prompt as it may be listed.

        Its name and URI, by which it is asked for, stay as they are.
        """
        kept = {k: entry[k] for k in ("name", "uri", "uriTemplate") if k in entry}
        cleaned = self._walked(entry, self.text, DEEPEST)
        if isinstance(entry.get("arguments"), list):
            for one, its in zip(cleaned["arguments"], entry["arguments"], strict=True):
                if isinstance(its, Mapping) and "name" in its:
                    one["name"] = its["name"]
        return {**cleaned, **kept}

    def result(self, result: Mapping[str, Any], limit: int) -> Cleaned:
        """
        A result as it may be shown, of at most about `limit` bytes of text.

        Too long a text is cut and too large a blob replaced by a text; both say so.
        ``structuredContent`` is given whole or not at all, and without it the result
        is an error, so that nobody takes a part for the whole.
        """
        return _Result(self, limit).cleaned(result)

    def value(self, value: Any) -> Any:
        """Any JSON value, with all of its texts as they may be shown."""
        return self._walked(value, self.text, DEEPEST)

    def _visible(self, text: str) -> str:
        match self.mode:
            case "mark":
                return marked(text)
            case "strip":
                return stripped(text)
            case _:
                return text

    def _walked(self, value: Any, text: Callable[[str], str], left: int) -> Any:
        match value:
            case str():
                return text(value)
            case Mapping() | list() | tuple() if not left:
                return f"[nested over {DEEPEST} levels: left out by modelplex]"
            case Mapping():
                cleaned: dict[str, Any] = {}
                for key, item in value.items():
                    name = self.text(key)
                    if name in cleaned:  # only what was there to mislead collides
                        name = self.mask(marked(key))
                    cleaned[name] = self._walked(item, text, left - 1)
                return cleaned
            case list() | tuple():
                return [self._walked(item, text, left - 1) for item in value]
            case _:
                return value


@define(eq=False)
class _Result:
    """One result while it is cleaned."""

    _hygiene: Hygiene
    _limit: int
    _left: int = field(init=False)
    _size: int = 0
    _blobs: int = 0
    _cut: bool = False

    def __attrs_post_init__(self) -> None:
        self._left = self._limit

    def cleaned(self, result: Mapping[str, Any]) -> Cleaned:
        given = dict(result)
        whole = {k: given.pop(k) for k in ("structuredContent",) if k in given}
        blocks = given.get("content")
        if isinstance(blocks, list):
            given["content"] = []
        value = self._walk(given, DEEPEST)
        if isinstance(blocks, list):
            value["content"] = self._blocks(blocks)
        if whole:
            self._structured(value, whole["structuredContent"])
        return Cleaned(value, self._size, self._blobs, self._cut)

    def _walk(self, value: Any, left: int) -> Any:
        match value:
            case str():
                return self._text(value)
            case Mapping() if left and _blob_of(value):
                return self._blob(value, left)
            case Mapping() if left:
                return {
                    self._hygiene.text(key): self._hygiene.text(item)
                    if key in _SHAPE and isinstance(item, str)
                    else self._walk(item, left - 1)
                    for key, item in value.items()
                }
            case list() | tuple() if left:
                return [self._walk(item, left - 1) for item in value]
            case Mapping() | list() | tuple():
                self._cut = True
                return f"[nested over {DEEPEST} levels: left out by modelplex]"
            case _:
                return value

    def _blocks(self, blocks: list[Any]) -> list[Any]:
        """As many as there is room for, and how many there were."""
        shown: list[Any] = []
        for number, block in enumerate(blocks):
            if self._left <= 0 and self._cut:
                said = f"[{len(blocks) - number} more blocks left out by modelplex]"
                return [*shown, {"type": "text", "text": said}]
            shown.append(self._walk(block, DEEPEST))
        return shown

    def _text(self, text: str) -> str:
        size = _bytes(text)
        self._size += size
        if size <= self._left:
            self._left -= size
            return self._hygiene.text(text)
        self._cut = True
        # Made safe as a whole: the cut could go through a secret.
        data = self._hygiene.text(text).encode("utf-8", "surrogatepass")[: self._left]
        self._left = 0
        shown = data.decode("utf-8", "ignore")
        return f"{shown}{self._marker(len(data), size)}"

    def _marker(self, shown: int, size: int) -> str:
        return (
            f"\n[cut by modelplex: {shown} of {size} bytes shown; results may have "
            f"{self._limit}]"
        )

    def _blob(self, block: Mapping[str, Any], left: int) -> Any:
        key = _blob_of(block)
        assert key is not None
        size = len(block[key])
        self._size += size
        self._blobs += 1
        rest = {k: v for k, v in block.items() if k != key}
        if size <= self._left:
            self._left -= size
            return {**self._walk(rest, left), key: block[key]}
        self._cut = True
        said = f"[{size} bytes of base64 left out by modelplex: over {self._limit}]"
        if key == "blob":
            return {**self._walk(rest, left), "text": said}
        return {"type": "text", "text": said}

    def _structured(self, value: Any, structured: Any) -> None:
        cleaned = self._hygiene.value(structured)
        size = _total(cleaned)
        self._size += size
        if size <= self._left:
            value["structuredContent"] = cleaned
            return
        self._cut = True
        said = (
            f"[the structured content, of {size} bytes, left out by modelplex: "
            f"results may have {self._limit}]"
        )
        value["isError"] = True
        content = value.get("content")
        more = [{"type": "text", "text": said}]
        value["content"] = [*content, *more] if isinstance(content, list) else more


def _blob_of(block: Mapping[str, Any]) -> str | None:
    """The member of a block or of a resource's contents that is encoded bytes."""
    if block.get("type") in ("image", "audio") and isinstance(block.get("data"), str):
        return "data"
    if isinstance(block.get("blob"), str) and isinstance(block.get("uri"), str):
        return "blob"
    return None


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _total(value: Any) -> int:
    """Bytes of all texts, and one for each other value."""
    total, row = 0, [value]
    while row:
        total += sum(_bytes(one) if isinstance(one, str) else 1 for one in row)
        total += sum(_bytes(k) for one in row if isinstance(one, dict) for k in one)
        row = [
            part
            for one in row
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
    return total
