"""
Where opaque reasoning comes from, so that only its own provider is sent it back.

A canonical signature of this API is ``responses:ID:CONTENT``: the item's id goes with
its ``encrypted_content``, which its provider refuses under another id. No signature of
another provider has a colon. Towards a guest it is the other way round: what comes
from elsewhere is wrapped, and its ``encrypted_content`` starts with ``modelplex:``.
"""

from __future__ import annotations

from modelplex.events import Part, RedactedThinking, Thinking

_NATIVE = "responses:"
_SIGNED = "modelplex:signed:"
_REDACTED = "modelplex:redacted:"

UNPROVEN = "modelplex:unproven"
"""The ``encrypted_content`` of reasoning that its provider gave no proof for."""

WRAPPED = "modelplex:"
"""How an ``encrypted_content`` starts that no provider can read."""


def native(id: str, content: str) -> str:
    """The signature for a provider's reasoning item."""
    return f"{_NATIVE}{'' if ':' in id else id}:{content}"


def native_parts(signature: str) -> tuple[str, str] | None:
    """The (id, ``encrypted_content``) of an item, or ``None`` for a foreign one."""
    if not signature.startswith(_NATIVE):
        return None
    id, _, content = signature.removeprefix(_NATIVE).partition(":")
    return id, content


def wrapped_signature(signature: str) -> str:
    """The ``encrypted_content`` that brings a guest's `signature` back."""
    return _SIGNED + signature


def wrapped_redacted(content: str) -> str:
    """The ``encrypted_content`` that brings `RedactedThinking` back."""
    return _REDACTED + content


def remembered(id: str, content: str, text: str) -> list[Part]:
    """The parts that a guest's reasoning item stands for; none if it says nothing."""
    if content.startswith(_SIGNED):
        return [Thinking(text, content.removeprefix(_SIGNED))]
    if content.startswith(_REDACTED):
        hidden = RedactedThinking(content.removeprefix(_REDACTED))
        return [Thinking(text), hidden] if text else [hidden]
    if content and content != UNPROVEN:
        proof = native(id, content)
        return [Thinking(text, proof)] if text else [RedactedThinking(proof)]
    return [Thinking(text)] if text else []
