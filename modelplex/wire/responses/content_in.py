"""The content of a guest's item: a string or a list of parts."""

from __future__ import annotations

from collections.abc import Callable

from modelplex.errors import UnsupportedField
from modelplex.events import (
    Audio,
    CacheMark,
    Document,
    FileId,
    Image,
    Part,
    Refusal,
    Source,
    Text,
)
from modelplex.wire.openai import media
from modelplex.wire.openai.fields import Field

_TEXTS = ("input_text", "output_text", "text")


def parts(content: Field, *kinds: str) -> tuple[Part, ...]:
    """
    The parts of `content`, in order.

    :param kinds: the part types that may stand here, besides text.
    """
    if isinstance(content.value, str):
        return (Text(content.value),)
    return tuple(_part(item, kinds) for item in content.items())


def cache_mark(field: Field) -> CacheMark | None:
    """``prompt_cache_breakpoint``, wherever it stands."""
    mark = field.get("prompt_cache_breakpoint")
    return None if mark is None else CacheMark(mark.maybe("ttl", Field.text))


def _part(item: Field, kinds: tuple[str, ...]) -> Part:
    kind = item.need("type").text()
    if kind in _TEXTS:
        return Text(item.need("text").text(), cache_mark(item))
    if kind not in _READ:
        raise UnsupportedField(
            f"{item.path}.type: a part of type {kind[:60]!r} cannot be translated",
            param=f"{item.path}.type",
        )
    if kind not in kinds:
        item.need("type").wrong(f"a part of type {kind!r} does not belong here")
    return _READ[kind](item)


def _image(item: Field) -> Image:
    source: Source
    if (id := item.get("file_id")) is not None:
        source = FileId(id.name())
    else:
        source = media.source(item.need("image_url"), "image/")
    return Image(source, item.maybe("detail", Field.text), cache_mark(item))


def _file(item: Field) -> Document:
    source: Source
    if (id := item.get("file_id")) is not None:
        source = FileId(id.name())
    elif (url := item.get("file_url")) is not None:
        source = media.source(url, "")
    else:
        source = media.inline(item.need("file_data"))
    title = item.maybe("filename", Field.text)
    return Document(source, title, cache=cache_mark(item))


def _audio(item: Field) -> Audio:
    audio = item.need("input_audio")
    sound = audio.need("data")
    return Audio(media.check_base64(sound, sound.text()), audio.need("format").name())


def _refusal(item: Field) -> Refusal:
    return Refusal(item.need("refusal").text())


def screenshot(output: Field) -> Image | None:
    """The picture that a ``computer_call_output`` is."""
    url = output.get("image_url")
    if url is None:
        id = output.maybe("file_id", Field.name)
        return None if id is None else Image(FileId(id))
    return Image(media.source(url, "image/"))


_READ: dict[str, Callable[[Field], Part]] = {
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "refusal": _refusal,
}
