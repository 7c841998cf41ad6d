"""Names and inputs of tools that take free text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelplex.events import ToolCall
from modelplex.wire.freeform import free_text
from modelplex.wire.ollama.tool_words import (
    tool_name,
    wire_call,
    wire_tool_name,
)

tricky = st.lists(st.sampled_from(["-freeform", "-function", "freeform", "-", "a"]))
names = st.one_of(tricky.map("".join), st.text(max_size=9))


@given(name=names, custom=st.booleans())
def test_every_tool_name_is_read_back(name: str, custom: bool) -> None:
    assert tool_name(wire_tool_name(name, custom)) == (name, custom)


@given(name=st.text())
def test_an_ordinary_tool_name_stays_as_it_is(name: str) -> None:
    assert wire_tool_name(name + "_2") == name + "_2"
    assert wire_tool_name("my-function") == "my-function"


@given(name=names)
def test_any_name_that_a_model_invents_is_read(name: str) -> None:
    assert name.startswith(tool_name(name)[0])


@given(name=names, text=st.text())
def test_free_text_comes_back(name: str, text: str) -> None:
    wire = wire_call(ToolCall("a", name, text, custom=True))
    assert not wire.custom
    assert tool_name(wire.name) == (name, True)
    assert free_text(wire.arguments) == text


@given(text=st.text())
def test_what_is_no_object_of_one_string_is_the_text_itself(text: str) -> None:
    assert free_text(text) == text or text.lstrip().startswith("{")
    for other in ('{"input":1}', "{}", '{"in', '["a"]', "[" * 9999):
        assert free_text(other) == other


@given(name=names, arguments=st.text())
def test_the_arguments_of_a_function_stay(name: str, arguments: str) -> None:
    assert wire_call(ToolCall("a", name, arguments)).arguments == arguments
