"""
Gemini's generateContent, countTokens and embeddings, closed by default.

What functions were called with and gave is plain content: nobody follows an address
in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from attrs import define, field

from modelplex.errors import BadRequest
from modelplex.guests.admitted import Admitted
from modelplex.guests.gemini_members import (
    ANSWER,
    CHOOSING,
    PLAIN,
    QUICK,
    RESPONSES,
    RULES,
    SAID,
    SETTINGS,
    folded,
    names,
    plain_model,
)
from modelplex.guests.hosted import Sifted, check_number, written
from modelplex.guests.policy import (
    FILES,
    HOSTED_TOOLS,
    REMOTE_URLS,
    SERVER_STATE,
    Policy,
)
from modelplex.guests.references import (
    OFF,
    forbidden,
    is_inline,
    look_at,
    look_through,
    only_the_model,
    parsed,
)
from modelplex.guests.rules import Admission
from modelplex.guests.spoken import Block, blocks_of, first_of, open_blocks
from modelplex.wire.jsonobject import JsonObject, open_object

_OPEN = frozenset({HOSTED_TOOLS, REMOTE_URLS, FILES})
_QUOTE = ord('"')


def close(body: JsonObject, model: str, policy: Policy) -> Admitted:
    """
    Hold a request to a model of Gemini's against a policy.

    The model stands in the path; where a body names one too, it is the same.

    :raises Forbidden: it uses a way out that the policy leaves closed; the error
        names the word that would open it.
    :raises BadRequest: it can be read in two ways.
    """
    try:
        return _Closing(Admission(body, policy.allow), model, policy).close()
    except RecursionError:
        raise BadRequest("contents: nested too deeply", param="contents") from None


@define
class _Closing:
    """
    One request that is being closed.

    :ivar asked: calls of tools that the provider is to run, by their ids.
    :ivar answered: those that it has run.
    """

    admission: Admission
    model: str
    policy: Policy
    asked: set[bytes] = field(factory=set)
    answered: set[bytes] = field(factory=set)

    @property
    def allow(self) -> frozenset[str]:
        return self.policy.allow

    def close(self) -> Admitted:
        admission = self.admission
        spelt = names(admission.body.spans, "")
        self._tools(spelt)
        for name, key in spelt.items():
            value = admission.raw(key)
            match name:
                case "contents":
                    self._contents(value, key)
                case "content" | "systemInstruction":
                    self._content(value, key)
                case "requests":
                    self._requests(value, key)
                case "generateContentRequest":
                    self._whole(value, key)
                case "generationConfig":
                    self._settings(value, key)
                case "toolConfig":
                    look_through(value, key, self.allow)
                case "model":
                    self._named(value, key)
                case "store":
                    if SERVER_STATE not in self.allow and value not in OFF:
                        admission.changes[key] = b"false"
                        admission.dropped.append(key)
                case _ if name not in RULES.own:
                    RULES.hold(admission, key, name)
        if HOSTED_TOOLS not in self.allow and self.asked - self.answered:
            raise forbidden("contents", HOSTED_TOOLS)  # they would be run now
        return admission.admitted()

    def _named(self, value: bytes, where: str) -> None:
        if value == b"null":
            return
        named = parsed(value, where)
        if not isinstance(named, str) or plain_model(named) != plain_model(self.model):
            raise only_the_model(where)

    def _settings(self, value: bytes, where: str) -> None:
        if value == b"null":
            return
        settings = first_of(value, where)
        for name, key in names(settings, where).items():
            if name in CHOOSING:
                if bytes(settings[key]) != b"null":
                    raise only_the_model(f"{where}.{key}")
            elif name not in SETTINGS:
                look_through(bytes(settings[key]), f"{where}.{key}", self.allow)

    def _whole(self, value: bytes, where: str) -> None:
        """A request inside the one that asks to count its tokens."""
        if value == b"null":
            return
        whole = open_object(value, where)
        if "generateContentRequest" in names(whole.spans, where):
            raise BadRequest(f"{where}: nested too deeply", param=where)
        inner = close(whole, self.model, self.policy)
        if inner.changes:
            self.admission.changes[where] = whole.splice(inner.changes)
        self.admission.dropped += inner.dropped

    def _requests(self, value: bytes, where: str) -> None:
        """What to embed; each has a model and settings of its own."""
        for number, request in enumerate(open_blocks(value, where)):
            place = f"{where}[{number}]"
            for name, key in names(request, place).items():
                inner = bytes(request[key])
                if name == "content":
                    self._content(inner, f"{place}.{key}")
                elif name == "model":
                    self._named(inner, f"{place}.{key}")
                elif name not in RULES.harmless:
                    look_through(inner, f"{place}.{key}", self.allow)

    # --- tools ----------------------------------------------------------------

    def _tools(self, spelt: Mapping[str, str]) -> None:
        key = spelt.get("tools")
        if HOSTED_TOOLS in self.allow or key is None:
            return
        sifted = _sifted(self.admission.raw(key), key)
        if sifted is None:
            return
        config = spelt.get("toolConfig", "")
        self.admission.keep(sifted, key, config)
        if sifted.text is None and config and self._forces(config):
            raise forbidden(config, HOSTED_TOOLS)

    def _forces(self, key: str) -> bool:
        """Whether a tool has to be called."""
        config = parsed(self.admission.raw(key), key, folded)
        if not isinstance(config, dict):
            return False
        for name, value in config.items():
            if folded(name) == "functioncallingconfig" and isinstance(value, dict):
                return any(
                    folded(mode) == "mode" and str(word).upper() == "ANY"
                    for mode, word in value.items()
                )
        return False

    # --- contents ---------------------------------------------------------------

    def _contents(self, value: bytes, where: str) -> None:
        if self.allow >= _OPEN:
            return
        if value.startswith(b"{"):
            value = b"[" + value + b"]"
        if value.startswith(b"["):
            for place, parts in blocks_of(value, where, "parts", SAID, self.allow):
                self._parts(parts, place)

    def _content(self, value: bytes, where: str) -> None:
        """One content, or one part that stands for it, or a text."""
        if self.allow >= _OPEN or not value.startswith(b"{"):
            if value.startswith(b"["):
                self._contents(value, where)
            return
        content = first_of(value, where)
        spelt = names(content, where)
        if "parts" not in spelt:
            self._parts([content], where)
            return
        for name, key in spelt.items():
            if name == "parts":
                self._parts(open_blocks(content[key], where), where)
            elif name != "role":
                look_through(bytes(content[key]), f"{where}.{key}", self.allow)

    def _parts(self, parts: Iterable[Block], where: str) -> None:
        for part in parts:
            if not _is_quick(part, where):
                self._part(part, where)

    def _part(self, part: Block, where: str) -> None:
        for name, key in names(part, where).items():
            value = bytes(part[key])
            if name == "functionResponse" and value != b"null":
                answer = first_of(value, where)
                for inner, own in names(answer, where).items():
                    if inner == "parts":
                        self._parts(open_blocks(answer[own], where), where)
                    elif own not in ANSWER:
                        look_through(bytes(answer[own]), f"{where}.{own}", self.allow)
            elif name in ("toolCall", "toolResponse"):
                if value != b"null":
                    id = bytes(first_of(value, where).get("id", b""))
                    (self.asked if name == "toolCall" else self.answered).add(id)
            elif name == "inlineData" and is_inline(value):
                continue  # not to be read as a whole because of what is beside it
            elif name not in PLAIN or (name == "text" and value[:1] != b'"'):
                found = parsed(value, where, folded)
                look_at(found, name, f"{where}.{key}", self.allow)


def _is_quick(part: Block, where: str) -> bool:
    if part.keys() <= QUICK:
        inline = names(part, where).get("inlineData")
        if inline is not None and not is_inline(bytes(part[inline])):
            return False
        return memoryview(part.get("text", b'"'))[0] == _QUOTE
    if len(part) != 1:
        return False
    ((key, value),) = part.items()
    if key not in RESPONSES or memoryview(value)[0] != ord("{"):
        return False
    return first_of(bytes(value), where).keys() <= ANSWER


def _sifted(text: bytes, where: str) -> Sifted | None:
    """
    Tools with nothing but declarations of functions; ``None`` when they have no more.
    """
    tools = open_blocks(text, where)
    check_number(len(tools), where)
    kept: list[bytes] = []
    kinds: list[str] = []
    for tool in tools:
        spelt = names(tool, where)
        hosted = [key for name, key in spelt.items() if name != "functionDeclarations"]
        kinds += hosted
        own = spelt.get("functionDeclarations")
        if own is not None:
            kept.append(msgspec.json.encode({own: tool[own]}))
    return Sifted(written(kept), tuple(kinds)) if kinds else None
