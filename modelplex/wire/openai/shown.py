"""How the parts of a reply look to a chat guest, streamed or whole."""

from __future__ import annotations

from modelplex.events import JSON, FinishReason

FINISH = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_WINDOW: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "stop",
}

SIGNED_FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for reasoning that carries Anthropic's signature."""


def reply_id(given: str, otherwise: str, prefix: str) -> str:
    """The provider's id, or ours, in the form this dialect's ids have."""
    id = given or otherwise
    return id if id.startswith(prefix) else prefix + id


def annotation(citation: JSON, start: int, end: int) -> JSON:
    """
    A citation as OpenAI's ``url_citation``, or ``None`` when it names no page.

    :param start: where the text it is for starts in the whole content.
    """
    if not isinstance(citation, dict):
        return None
    if citation.get("type") == "url_citation":
        return citation
    url = citation.get("url")
    if not isinstance(url, str):
        return None
    title = citation.get("title")
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": start,
            "end_index": end,
            "title": title if isinstance(title, str) else "",
            "url": url,
        },
    }


def signed(index: int, signature: str, text: str | None = None) -> JSON:
    """The ``reasoning_details`` entry with a signature."""
    entry = {
        "type": "reasoning.text",
        "text": text,
        "signature": signature,
        "format": SIGNED_FORMAT,
        "index": index,
    }
    return {k: v for k, v in entry.items() if v is not None}


def redacted(index: int, content: str) -> JSON:
    """The ``reasoning_details`` entry for what only the provider can read."""
    return {
        "type": "reasoning.encrypted",
        "data": content,
        "format": SIGNED_FORMAT,
        "index": index,
    }
