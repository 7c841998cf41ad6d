"""Reading typed values out of JSON, so that an error names the field it is about."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from modelplex.errors import BadRequest
from modelplex.wire.jsonobject import JsonObject

T = TypeVar("T")

_AT = re.compile(r" - at `(?:key in )?\$(.*)`$")


def read(raw: bytes | msgspec.Raw, type: type[T] | Any, where: str) -> T | Any:
    """
    The JSON text `raw` as a `type`.

    :param where: the path of `raw` in the request, such as ``messages[0]``.
    :raises BadRequest: it is of another type; `param` is the path of the culprit.
    """
    try:
        return msgspec.json.decode(raw, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        said = str(e)
        found = _AT.search(said)
        path = where + found[1] if found else where
        said = said[: found.start()] if found else said
    except RecursionError:
        path, said = where, "nested too deeply"
    raise BadRequest(f"{path}: {said}", param=path, code="invalid_type")


def member(body: JsonObject, key: str, type: Any, *, within: str = "") -> Any:
    """
    The value of `key` as a `type`; ``None`` when it is absent or null.

    :param within: the path of `body` itself, such as ``options.``.
    :raises BadRequest: the value is of another type; names the path to it.
    """
    raw = body.raw(key)
    if raw is None or raw == b"null":
        return None
    return read(raw, type, f"{within}{key}")


def model_of(body: JsonObject) -> str:
    """
    The model that is asked for.

    :raises BadRequest: none is.
    """
    model = member(body, "model", str)
    if not model:
        raise BadRequest("model is required", param="model")
    return str(model)


def pack(value: Any) -> bytes:
    """
    `value` as compact JSON.

    :raises BadRequest: JSON cannot say it: nested too deeply, or half a character.
    """
    try:
        return msgspec.json.encode(value)
    except (RecursionError, UnicodeEncodeError) as e:
        raise BadRequest(f"the request cannot be written as JSON: {e}") from None


def compact(raw: bytes | msgspec.Raw) -> str:
    """The JSON text `raw`, known to be valid, without white space between tokens."""
    try:
        return msgspec.json.format(bytes(raw), indent=-1).decode()
    except RecursionError:  # deep, and read with less of the stack in use
        return bytes(raw).decode()


def is_object(text: str) -> bool:
    """Whether `text` is a JSON object."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
