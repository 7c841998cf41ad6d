"""What one guest may use: pure."""

from __future__ import annotations

import re
from fnmatch import translate

from attrs import field, frozen

HOSTED_TOOLS = "hosted-tools"
REMOTE_URLS = "remote-urls"
SERVER_STATE = "server-state"
FILES = "files"
WORDS = (HOSTED_TOOLS, REMOTE_URLS, SERVER_STATE, FILES)


@frozen
class Policy:
    """
    A guest's policy.

    :ivar guest: the guest's name.
    :ivar models: globs over the names of models, or over ``provider/name``.
    :ivar allow: the ways out that are open, of `WORDS`; none by default.
    """

    guest: str
    models: tuple[str, ...] = ("*",)
    allow: frozenset[str] = frozenset()
    _pattern: re.Pattern[str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        either = "|".join(f"(?:{translate(glob)})" for glob in self.models)
        object.__setattr__(self, "_pattern", re.compile(either or r"(?!)"))

    def permits(self, provider: str, model: str) -> bool:
        """Whether the guest may use `model` of `provider`, named as it is offered."""
        match = self._pattern.match
        return bool(match(model) or match(f"{provider}/{model}"))
