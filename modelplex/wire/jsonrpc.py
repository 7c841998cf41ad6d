"""
JSON-RPC 2.0 as the Model Context Protocol uses it: one message, from and to bytes.

Ids are strings or integers and keep their type: ``"1"`` and ``1`` are different ids.
Params are objects. Batches, which one revision had, are `parse_all`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from attrs import field, frozen

from modelplex.errors import GatewayError

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

DEEPEST = 128  # levels of nesting in a message
MOST = 100  # messages in a batch
_MOST_BRACKETS = 500_000  # in a message
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

Id: TypeAlias = str | int
Params: TypeAlias = Mapping[str, Any]
Result: TypeAlias = Any


@frozen
class Call:
    """A request: it is answered under its id."""

    id: Id
    method: str
    params: Params = field(factory=dict, repr=False)


@frozen
class Note:
    """A notification: nobody answers it."""

    method: str
    params: Params = field(factory=dict, repr=False)


@frozen
class Answer:
    """The result of a request."""

    id: Id
    result: Result = field(repr=False)


@frozen
class Failure:
    """
    What went wrong with a request.

    :ivar id: ``None`` when the request's could not be read.
    """

    id: Id | None
    code: int
    message: str
    data: Any = field(default=None, repr=False)


Message: TypeAlias = Call | Note | Answer | Failure


class RpcError(GatewayError):
    """
    A failure that is told as a JSON-RPC error.

    :ivar rpc_code: of the error object.
    :ivar data: further members of it; ``None`` for none.
    """

    kind = "rpc_error"
    status = 200

    def __init__(self, rpc_code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.data = data

    def failure(self, id: Id | None) -> Failure:
        """The message that tells it."""
        return Failure(id, self.rpc_code, self.message, self.data)


def parse(text: bytes) -> Message:
    """
    The one message in `text`.

    :raises RpcError: it is no JSON (-32700), or no message (-32600); an array is none.
    """
    return message_of(_json(text))


def parse_all(text: bytes) -> list[Message] | Message:
    """
    The message in `text`, or those of a batch.

    :raises RpcError: as `parse`, or the batch is empty, nested or too long.
    """
    found = _json(text)
    if not isinstance(found, list):
        return message_of(found)
    if not 0 < len(found) <= MOST:
        raise RpcError(INVALID_REQUEST, f"a batch has 1 to {MOST} messages")
    return [message_of(one) for one in found]


def message_of(value: Any) -> Message:
    """
    The message that a JSON `value` is.

    :raises RpcError: it is none (-32600).
    """
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "a JSON-RPC 2.0 message is expected")
    if "method" in value:
        return _asking(value)
    if "result" in value and "error" not in value:
        return Answer(_id(value), value["result"])
    if "error" in value and "result" not in value:
        return _failure(value)
    raise RpcError(INVALID_REQUEST, "a method, a result or an error is expected")


def encode(message: Message) -> bytes:
    """`message` as one line of JSON without its end."""
    told: dict[str, Any] = {"jsonrpc": "2.0"}
    match message:
        case Call():
            told |= {"id": message.id, "method": message.method}
            if message.params:
                told["params"] = message.params
        case Note():
            told["method"] = message.method
            if message.params:
                told["params"] = message.params
        case Answer():
            told |= {"id": message.id, "result": message.result}
        case Failure():
            error: dict[str, Any] = {"code": message.code, "message": message.message}
            if message.data is not None:
                error["data"] = message.data
            told |= {"id": message.id, "error": error}
    return to_json(told)


def to_json(value: Any) -> bytes:
    """
    `value` as compact JSON.

    :raises RpcError: it is nested too deeply to be written.
    """
    try:
        return msgspec.json.encode(value)
    except RecursionError:
        raise RpcError(INTERNAL_ERROR, "the message is nested too deeply") from None
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can say and UTF-8 cannot.
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _json(text: bytes) -> Any:
    if not _is_shallow(text):
        raise RpcError(PARSE_ERROR, f"nested over {DEEPEST} levels, or too much of it")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RpcError(PARSE_ERROR, "this is not JSON") from None


def _is_shallow(text: bytes) -> bool:
    """Whether JSON has at most `DEEPEST` levels; quick, whatever `text` is."""
    if text.count(b"{") + text.count(b"[") <= DEEPEST:
        return True
    brackets = _STRING.sub(b"", text).translate(_ALIKE, _NO_BRACKETS)
    if len(brackets) > _MOST_BRACKETS:
        return False
    for _ in range(DEEPEST):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    return not brackets


def _asking(value: dict[str, Any]) -> Call | Note:
    method, params = value["method"], value.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict):
        raise RpcError(INVALID_REQUEST, "method is a string and params an object")
    if "id" in value:
        return Call(_id(value), method, params)
    return Note(method, params)


def _failure(value: dict[str, Any]) -> Failure:
    error = value["error"]
    id = None if value.get("id") is None else _id(value)
    if not isinstance(error, dict):
        raise RpcError(INVALID_REQUEST, "an error is an object")
    code, message = error.get("code"), error.get("message")
    if isinstance(code, bool) or not isinstance(code, int):
        code = INTERNAL_ERROR
    if not isinstance(message, str):
        message = ""
    return Failure(id, code, message, error.get("data"))


def _id(value: dict[str, Any]) -> Id:
    id = value.get("id")
    if isinstance(id, bool) or not isinstance(id, str | int):
        raise RpcError(INVALID_REQUEST, "an id is a string or an integer")
    return id
