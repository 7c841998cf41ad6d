"""A guest's tools and its choice among them: flat, with namespaces in the names."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from modelplex.errors import UnsupportedField
from modelplex.events import JSON, Choose, Tool, ToolChoice
from modelplex.wire.openai.fields import Field
from modelplex.wire.responses.content_in import cache_mark
from modelplex.wire.responses.names import flat_name

_FUNCTION = frozenset(
    {
        *("type", "name", "description", "parameters", "strict"),
        "prompt_cache_breakpoint",
    }
)
_CUSTOM = frozenset({"type", "name", "description", "format"})


@define
class ToolReader:
    """
    Collects tools from wherever a request has them; a later one of a name replaces.

    :ivar extra: what has no canonical place, by its path.
    """

    extra: dict[str, JSON]
    _found: dict[str, Tool] = field(factory=dict)

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self._found.values())

    def read(self, items: Iterable[Field]) -> None:
        for item in items:
            match item.maybe("type", Field.text) or "function":
                case "function" | "custom":
                    self._add(self._tool(item, ""))
                case "namespace":
                    self._namespace(item)
                case kind:
                    self.extra[f"tools[{kind[:60]}]"] = item.object()

    def _namespace(self, item: Field) -> None:
        """Its description goes with the first of its tools."""
        namespace = item.need("name").name()
        about = item.maybe("description", Field.text)
        for member in item.need("tools").items():
            tool = self._tool(member, namespace)
            if about:
                told = f"{about}\n\n{tool.description}" if tool.description else about
                tool, about = evolve(tool, description=told), None
            self._add(tool)

    def _add(self, tool: Tool) -> None:
        self._found[tool.name] = tool

    def _tool(self, item: Field, namespace: str) -> Tool:
        kind = (item.get("type") or Field("function", item.path)).word(
            "function", "custom"
        )
        name = flat_name(namespace, item.need("name").name())
        about = item.maybe("description", Field.text)
        known = _CUSTOM if kind == "custom" else _FUNCTION
        for key, value in item.object().items():
            if key not in known and value not in (None, False):
                self.extra[f"tools[].{key}"] = value
        if kind == "custom":
            return Tool(name, about, custom=True, format=_format(item))
        return Tool(
            name,
            about,
            item.maybe("parameters", Field.object),
            item.maybe("strict", Field.boolean),
            cache=cache_mark(item),
        )

    def choice(self, request: Field) -> ToolChoice | None:
        """``tool_choice`` in every form."""
        choice = request.get("tool_choice")
        if choice is None:
            return None
        if isinstance(choice.value, str):
            return ToolChoice(Choose(choice.word("none", "auto", "required")))
        match choice.need("type").text():
            case "function" | "custom":
                return ToolChoice(Choose.REQUIRED, self._named(choice))
            case "allowed_tools":
                return self._allowed(choice)
            case kind:
                raise _only_at_provider(choice, kind)

    def _allowed(self, choice: Field) -> ToolChoice:
        mode = choice.need("mode").word("auto", "required")
        names: dict[str, None] = {}
        for item in choice.need("tools").items():
            match item.need("type").text():
                case "function" | "custom" | "namespace":
                    names |= dict.fromkeys(self._named(item))
                case kind:
                    self.extra[f"tool_choice.tools[{kind[:60]}]"] = item.object()
        if not names:
            raise _only_at_provider(choice, "allowed_tools")
        return ToolChoice(Choose(mode), tuple(names))

    def _named(self, item: Field) -> tuple[str, ...]:
        name = item.need("name").name()
        if item.need("type").text() == "namespace":
            inside = flat_name(name, "")
            return tuple(n for n in self._found if n.startswith(inside))
        return (flat_name(item.maybe("namespace", Field.text) or "", name),)


def _only_at_provider(choice: Field, kind: str) -> UnsupportedField:
    return UnsupportedField(
        f"{choice.path}: {kind[:60]!r} names a tool that exists only at its provider",
        param=choice.path,
    )


def _format(item: Field) -> JSON:
    """The grammar of a custom tool, nested as chat completions have it."""
    format = item.get("format")
    if format is None or format.need("type").word("text", "grammar") == "text":
        return None
    grammar = {
        "syntax": format.need("syntax").word("lark", "regex"),
        "definition": format.need("definition").text(),
    }
    return {"type": "grammar", "grammar": grammar}
