"""The revisions of the protocol, and what each has (the table of all revisions)."""

from __future__ import annotations

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Those that begin with ``initialize``, oldest first."""

MODERN = ("2026-07-28",)
"""Those whose every request tells all about itself."""

LATEST_LEGACY = LEGACY[-1]
LATEST_MODERN = MODERN[-1]
#: What a legacy HTTP client speaks that does not say.
ASSUMED = "2025-03-26"


def negotiated(asked: object) -> str:
    """What a server answers to an ``initialize`` that asks for `asked`."""
    return asked if isinstance(asked, str) and asked in LEGACY else LATEST_LEGACY


def has_batches(version: str) -> bool:
    """Whether a client may send arrays of messages."""
    return version == "2025-03-26"


def has_structure(version: str) -> bool:
    """Whether results may have ``structuredContent`` and links to resources."""
    return version >= "2025-06-18"


def has_any_structure(version: str) -> bool:
    """Whether that may be any JSON value, and not an object only."""
    return version in MODERN


def has_audio(version: str) -> bool:
    """Whether content may be audio."""
    return version >= "2025-03-26"


def has_priming(version: str) -> bool:
    """Whether a client takes an event without data that only has an id."""
    return version == "2025-11-25"
