"""Items that go to a fake of the Responses API, and why the real one refuses some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelplex.testing.fakes.seals import Seals
from modelplex.testing.fakes.speaker import Refused

Item = dict[str, Any]

# What Codex puts into any item for the API's own use.
_PASSED = "internal_chat_message_metadata_passthrough"
_MESSAGE = frozenset({"type", "id", "role", "content", "status", "phase"})
_CALL = frozenset({"type", "id", "call_id", "name", "namespace", "status", "caller"})
_OUTPUT = frozenset({"type", "id", "call_id", "output", "status", "caller"})
_MEMBERS: dict[str, frozenset[str]] = {
    "message": _MESSAGE,
    "function_call": _CALL | {"arguments"},
    "custom_tool_call": _CALL | {"input"},
    "function_call_output": _OUTPUT,
    "custom_tool_call_output": _OUTPUT | {"name"},
    "reasoning": frozenset(
        {"type", "id", "summary", "content", "encrypted_content", "status"}
    ),
    "compaction": frozenset({"type", "id", "encrypted_content"}),
    "additional_tools": frozenset({"type", "id", "role", "tools"}),
    "item_reference": frozenset({"type", "id"}),
}
_NEEDED = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "custom_tool_call": ("call_id", "name", "input"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call_output": ("call_id", "output"),
    "reasoning": ("summary",),
    "compaction": ("encrypted_content",),
    "additional_tools": ("role", "tools"),
    "item_reference": ("id",),
}
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "reasoning": "rs",
    "compaction": "cmp",
}
_PARTS = {
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "assistant": ("output_text", "refusal"),
}
_ROLES = ("assistant", "system", "developer", "user")


def listed(given: Any) -> list[Item]:
    """
    The input as a list of items, each with its type.

    :raises Refused: it is neither a text nor a list of items.
    """
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise Refused(400, "Missing required parameter: 'input'.", "missing")
    items = []
    for place, item in enumerate(given):
        if not isinstance(item, dict):
            said = f"Invalid type for 'input[{place}]': expected an object."
            raise Refused(400, said, "invalid_type")
        kind = item.get("type") or ("message" if "role" in item else "item_reference")
        items.append({**item, "type": kind})
    return items


def resolved(items: list[Item], known: Mapping[str, Item]) -> list[Item]:
    """
    The items with each reference replaced.

    :param known: everything that was stored, by id.
    :raises Refused: an item is meant that was not stored.
    """
    found = []
    for item in items:
        bare = item["type"] == "reasoning" and not item.get("encrypted_content")
        if item["type"] != "item_reference" and not bare:
            found.append(item)
            continue
        id = item.get("id")
        if id is None or id not in known:
            raise Refused(
                404,
                f"Item with id '{id}' not found. Items are not persisted when `store` "
                "is set to false. Try again with `store` set to true, or remove this "
                "item from your input.",
            )
        found.append(known[id])
    return found


def check_items(items: list[Item]) -> None:
    """
    Each item by itself.

    :raises Refused: it has a type, a member or an id that the API does not take.
    """
    for place, item in enumerate(items):
        kind, where = item["type"], f"input[{place}]"
        if kind not in _MEMBERS:
            raise Refused(400, f"Invalid value: '{kind}'.", "invalid_value")
        for name in item:
            if name not in _MEMBERS[kind] and name != _PASSED:
                said = f"Unknown parameter: '{where}.{name}'."
                raise Refused(400, said, "unknown_parameter")
        for name in _NEEDED[kind]:
            if name not in item:
                said = f"Missing required parameter: '{where}.{name}'."
                raise Refused(400, said, "missing_required_parameter")
        _check_ids(item, where)
        if kind == "message":
            _check_message(item, where)
        elif kind.endswith("call") and item["name"] == "":
            raise Refused(400, f"Invalid '{where}.name': empty string.", "empty_string")


def _check_ids(item: Item, where: str) -> None:
    for name in ("id", "call_id"):
        id = item.get(name)
        if id is None:
            continue
        if len(id) > 64:
            raise Refused(
                400,
                f"Invalid '{where}.{name}': string too long. Expected a string with "
                f"maximum length 64, but got a string with length {len(id)} instead.",
                "string_above_max_length",
            )
        prefix = _PREFIXES.get(item["type"])
        if name == "id" and prefix is not None and not id.startswith(prefix):
            raise Refused(
                400,
                f"Invalid '{where}.id': '{id}'. Expected an ID that begins with "
                f"'{prefix}'.",
                "invalid_value",
            )


def _check_message(item: Item, where: str) -> None:
    role, content = item["role"], item["content"]
    if role not in _ROLES:
        raise Refused(400, f"Invalid value: '{role}'.", "invalid_value")
    taken = _PARTS.get(role, _PARTS["user"])
    if isinstance(content, str):
        return
    for part in content:
        if part["type"] not in taken:
            supported = ", ".join(f"'{kind}'" for kind in taken)
            said = (
                f"Invalid value: '{part['type']}'. Supported values are: {supported}."
            )
            raise Refused(400, said, "invalid_value")


def check_calls(items: list[Item]) -> None:
    """
    Each output has a call before it, and each call an output.

    :raises Refused: one has not.
    """
    open_: list[str] = []
    for item in items:
        if item["type"] in ("function_call", "custom_tool_call"):
            open_.append(item["call_id"])
        elif item["type"] in ("function_call_output", "custom_tool_call_output"):
            kind = item["type"].removesuffix("_output").replace("_", " ")
            if item["call_id"] not in open_:
                said = f"No tool call found for {kind} output with call_id"
                raise Refused(400, f"{said} {item['call_id']}.")
            open_.remove(item["call_id"])
    if open_:
        raise Refused(400, f"No tool output found for function call {open_[0]}.")


def check_reasoning(
    items: list[Item], seals: Seals, reasoned: Mapping[str, str]
) -> None:
    """
    Encrypted content is this one's own, and reasoning stays with what it led to.

    :param reasoned: by the id of an item the id of the reasoning that led to it.
    :raises Refused: it is another's, or one is here without the other.
    """
    ids = {item.get("id") for item in items}
    for place, item in enumerate(items):
        id, before = item.get("id"), reasoned.get(item.get("id") or "")
        if before is not None and before not in ids and None not in _thoughts(items):
            raise Refused(
                400,
                f"Item '{id}' of type '{item['type']}' was provided without its "
                f"required 'reasoning' item: '{before}'.",
            )
        if item["type"] not in ("reasoning", "compaction"):
            continue
        if locked := item.get("encrypted_content"):
            _check_locked(locked, id, seals)
        last = place == len(items) - 1
        if item["type"] == "reasoning" and (
            last or items[place + 1]["type"] not in _OWN
        ):
            raise Refused(
                400,
                f"Item '{id}' of type 'reasoning' was provided without its required "
                "following item.",
            )


_OWN = ("reasoning", "function_call", "custom_tool_call", "message")


def _thoughts(items: list[Item]) -> set[str | None]:
    """The ids of reasoning; it may come without, and then counts as the right one."""
    return {item.get("id") for item in items if item["type"] == "reasoning"}


def _check_locked(locked: str, id: str | None, seals: Seals) -> None:
    unlocked = seals.unlock(locked)
    if unlocked is None:
        why = "Encrypted content could not be decrypted or parsed."
    elif id is not None and unlocked.partition(" ")[0] != id:
        why = "Encrypted content item_id did not match the target item id."
    else:
        return
    raise Refused(
        400,
        f"The encrypted content {locked[:4]}...{locked[-4:]} could not be verified. "
        f"Reason: {why}",
        "invalid_encrypted_content",
    )
