"""The content of a guest's message: a string or a list of parts."""

from __future__ import annotations

from collections.abc import Callable

from modelplex.errors import UnsupportedField
from modelplex.events import (
    Audio,
    Document,
    FileId,
    Image,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
)
from modelplex.wire.openai import media
from modelplex.wire.openai.fields import Field
from modelplex.wire.openai.tools_in import cache_mark


def parts(content: Field, *kinds: str) -> tuple[Part, ...]:
    """
    The parts of `content`, in order.

    :param kinds: the part types that this role may use, besides text.
    """
    if isinstance(content.value, str):
        return (Text(content.value),)
    items = content.items()
    if not items:
        content.wrong("must not be empty")
    return tuple(_part(item, kinds) for item in items)


def _part(item: Field, kinds: tuple[str, ...]) -> Part:
    kind = item.need("type").text()
    if kind == "text":
        return Text(item.need("text").text(), cache_mark(item))
    if kind not in _READ:
        raise UnsupportedField(
            f"{item.path}.type: a part of type {kind[:60]!r} cannot be translated",
            param=f"{item.path}.type",
        )
    if kind not in kinds:
        item.need("type").wrong(f"a part of type {kind!r} is not for this role")
    return _READ[kind](item)


def _image(item: Field) -> Image:
    image = item.need("image_url")
    if isinstance(image.value, str):  # what some clients send
        return Image(media.source(image, "image/"), cache=cache_mark(item))
    source = media.source(image.need("url"), "image/")
    return Image(source, image.maybe("detail", Field.text), cache_mark(item))


def _audio(item: Field) -> Audio:
    audio = item.need("input_audio")
    sound = audio.need("data")
    return Audio(media.check_base64(sound, sound.text()), audio.need("format").name())


def _file(item: Field) -> Document:
    file = item.need("file")
    source: Source
    if (id := file.get("file_id")) is not None:
        source = FileId(id.name())
    else:
        source = media.inline(file.need("file_data"))
    title = file.maybe("filename", Field.text)
    return Document(source, title, cache=cache_mark(item))


def _refusal(item: Field) -> Refusal:
    return Refusal(item.need("refusal").text())


def _thinking(item: Field) -> Thinking:
    """Mistral's part, and Anthropic's block as some clients put it here."""
    said = item.need("thinking")
    signature = item.maybe("signature", Field.text) or None
    if isinstance(said.value, str):
        return Thinking(said.value, signature)
    pieces = [p.need("text").text() for p in said.items()]
    return Thinking("".join(pieces), signature)


_READ: dict[str, Callable[[Field], Part]] = {
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
    "thinking": _thinking,
}
