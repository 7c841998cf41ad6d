"""Characters that are in a text and that who reads it does not see: pure."""

from __future__ import annotations

import re
from collections.abc import Callable

#: What a reader does not see, or what changes how the rest is read: control characters
#: but tab and line ends, bidirectional, zero-width and tag characters, fillers, line
#: separators, invisible operators, halves of surrogate pairs.
_NEVER = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
#: Emoji are written with one, many in a row smuggle bytes.
_SELECTORS = "\ufe00-\ufe0f"
#: They join letters of the scripts that need it, and emoji.
_JOINERS = "\u200c\u200d"
_HIDDEN = re.compile(
    f"[{_NEVER}]|[{_SELECTORS}]{{2,}}|[{_JOINERS}]{{2,}}"
    f"|(?<![^\x00-\x7f])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\x7f])"
)
#: Where any of that may be: a plain set of characters is searched for much faster.
_SUSPECT = re.compile(f"[{_NEVER}{_SELECTORS}{_JOINERS}]+")
_SUSPECT_ASCII = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def has_hidden(text: str) -> bool:
    """Whether a reader of `text` would not see all of it."""
    if text.isascii():
        return _SUSPECT_ASCII.search(text) is not None
    return any(_HIDDEN.search(_around(run)) for run in _SUSPECT.finditer(text))


def marked(text: str) -> str:
    """`text` with each such character as what it is: ``<U+202E>``."""
    return _without(text, _as_marks)


def stripped(text: str) -> str:
    """`text` with none of them."""
    return _without(text, _as_nothing)


def _without(text: str, instead: Callable[[re.Match[str]], str]) -> str:
    # What was between two others is gone then, and they may be a pair now.
    while has_hidden(text):
        text = _replaced(text, instead)
    return text


def _replaced(text: str, instead: Callable[[re.Match[str]], str]) -> str:
    """`text` with something else for all that a reader does not see."""

    def replaced(run: re.Match[str]) -> str:
        around = _HIDDEN.sub(instead, _around(run))
        after = run.end() < len(text)
        return around[run.start() > 0 : len(around) - after]

    return _SUSPECT.sub(replaced, text)


def _around(run: re.Match[str]) -> str:
    """A run of characters with those before and after it, which say what it does."""
    return run.string[max(0, run.start() - 1) : run.end() + 1]


def _as_nothing(found: re.Match[str]) -> str:
    return ""


def _as_marks(found: re.Match[str]) -> str:
    return "".join(f"<U+{ord(char):04X}>" for char in found[0])
