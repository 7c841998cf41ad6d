"""What a request to a fake of Anthropic's API asks for, and must bring back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelplex.testing.fakes.script import Heard
from modelplex.testing.fakes.seals import Seals
from modelplex.testing.fakes.speaker import Refused

MEMBERS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "metadata",
        "cache_control",
        "service_tier",
        "speed",
        "container",
        "inference_geo",
    ]
)
UNCOUNTED = frozenset(
    [
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "service_tier",
        "container",
        "inference_geo",
    ]
)

# Members that the API knows only with a word in the header `anthropic-beta`.
BETAS = {"context_management": "context-management-2025-06-27"}
_THOUGHTS = ("thinking", "redacted_thinking")


def spelled_out(body: Any) -> Any:
    """`body` with every text that stands for a list of blocks as that list."""

    def blocks(content: Any) -> Any:
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return [
            {**block, "content": blocks(block["content"])}
            if block["type"] == "tool_result" and block.get("content")
            else block
            for block in content
        ]

    messages = [{**m, "content": blocks(m["content"])} for m in body["messages"]]
    return {**body, "system": blocks(body.get("system", [])), "messages": messages}


def check_proofs(messages: Iterable[Any], seals: Seals) -> None:
    """
    Every signature and all redacted thinking is what `seals` has issued.

    :raises Refused: it is another's, or the text was changed.
    """
    for index, message in enumerate(messages):
        for place, block in enumerate(message["content"]):
            where = f"messages.{index}.content.{place}"
            if block["type"] == "thinking":
                if "signature" not in block:
                    raise Refused(400, f"{where}.thinking.signature: Field required")
                if not seals.holds(block["signature"], block["thinking"]):
                    said = "Invalid `signature` in `thinking` block"
                    raise Refused(400, f"{where}: {said}")
            redacted = block["type"] == "redacted_thinking"
            if redacted and seals.unlock(block["data"]) is None:
                said = "Invalid `data` in `redacted_thinking` block"
                raise Refused(400, f"{where}: {said}")


def check_tool_turn(body: Any) -> None:
    """
    With thinking enabled, a turn that is still calling tools begins with a thought.

    :raises Refused: it does not.
    """
    if (body.get("thinking") or {}).get("type") != "enabled":
        return
    messages = body["messages"]
    began = None
    for index in range(len(messages) - 1, 0, -2):
        if not any(b["type"] == "tool_result" for b in messages[index]["content"]):
            break
        began = index - 1
    if began is None:
        return
    found = messages[began]["content"][0]["type"]
    if found not in _THOUGHTS:
        raise Refused(
            400,
            f"messages.{began}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{found}`. When `thinking` is enabled, a "
            "final `assistant` message must start with a thinking block (preceeding "
            "the lastmost set of `tool_use` and `tool_result` blocks). We recommend "
            "you include thinking blocks from previous turns. To avoid this "
            "requirement, disable `thinking`.",
        )


def heard_message(body: Any) -> Heard:
    """What a request that was taken asks for."""
    spelled = spelled_out(body)
    images: list[tuple[str, str]] = []
    said = ""
    results: list[tuple[str, str]] = []
    for message in spelled["messages"]:
        texts, results = [], []
        for block in message["content"]:
            if block["type"] == "text":
                texts.append(block["text"])
            elif block["type"] == "image":
                source = block["source"]
                images.append((source["media_type"], source["data"]))
            elif block["type"] == "tool_result":
                inner = " ".join(b["text"] for b in block.get("content", ()))
                results.append((block["tool_use_id"], inner))
        said = " ".join(texts) or said
    config = body.get("output_config", {})
    thinking = body.get("thinking", {}).get("type", "disabled")
    return Heard(
        model=body["model"],
        stream=bool(body.get("stream")),
        system="\n".join(block["text"] for block in spelled["system"]),
        said=said,
        images=tuple(images),
        results=tuple(results),
        tools=tuple(tool["name"] for tool in body.get("tools", ())),
        schema=config.get("format", {}).get("schema"),
        thinks=thinking != "disabled",
        stop=tuple(body.get("stop_sequences", ())),
        max_tokens=body["max_tokens"],
    )
