from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from modelplex.wire.anthropic.tool_words import (
    plain_id,
    tool_name,
    wire_input,
    wire_tool_name,
)
from modelplex.wire.freeform import free_text

tricky = st.lists(
    st.sampled_from(["-", "u", "2e", ".", "u2e-", "-u2e-", "-freeform", "ü", "a"])
).map("".join)


@given(name=st.one_of(tricky, st.text(max_size=9)), custom=st.booleans())
def test_every_tool_name_is_read_back(name: str, custom: bool) -> None:
    wire = wire_tool_name(name, custom)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", wire)
    assert tool_name(wire) == (name, custom)


def test_an_ordinary_tool_name_stays_as_it_is() -> None:
    assert wire_tool_name("get-current_weather2") == "get-current_weather2"


@given(name=st.text())
def test_any_name_that_a_model_invents_is_read(name: str) -> None:
    assert isinstance(tool_name(name)[0], str)
    assert tool_name("a-ud800-ufffff-")[0] == "a-ud800-ufffff-"


@given(id=st.text(max_size=99))
def test_an_id_is_made_plain_once(id: str) -> None:
    plain = plain_id(id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", plain)
    assert plain_id(plain) == plain


@given(text=st.text())
def test_free_text_comes_back(text: str) -> None:
    assert wire_input(text, custom=True) == {"input": text}
    assert free_text(text) == text or text.lstrip().startswith("{")
