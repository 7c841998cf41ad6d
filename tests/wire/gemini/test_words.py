"""Names, signatures and paths: what is written so that it can be read again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.events import ToolCall
from modelplex.wire.freeform import free_text
from modelplex.wire.gemini.abilities import Abilities, guess
from modelplex.wire.gemini.paths import (
    EMBED_BATCH,
    GENERATE,
    method_path,
    split_method,
    stream_path,
)
from modelplex.wire.gemini.signatures import (
    Signature,
    own,
    seal,
    standard,
    unwrap,
    wrap,
)
from modelplex.wire.gemini.tool_words import (
    past_tool_name,
    tool_name,
    wire_args,
    wire_tool_name,
)

tricky = st.lists(
    st.sampled_from(
        ["_", "u", "2e", ".", "u2e_", "_u2e_", "_ua", ".freeform", "freeform", "ü", "9"]
    )
).map("".join)


@given(name=st.one_of(tricky, st.text(max_size=9)), custom=st.booleans())
def test_every_tool_name_is_read_back(name: str, custom: bool) -> None:
    wire = wire_tool_name(name, custom)
    assert re.fullmatch(r"([A-Za-z_][A-Za-z0-9_.:-]*)?|\.freeform", wire)
    assert tool_name(wire) == (name, custom)


def test_an_ordinary_tool_name_stays_as_it_is() -> None:
    assert wire_tool_name("get_current.weather:x-2") == "get_current.weather:x-2"


@given(name=st.text())
def test_any_name_that_a_model_invents_is_read(name: str) -> None:
    assert isinstance(tool_name(name)[0], str)
    assert tool_name("a_ud800__uffffff_")[0] == "a_ud800__uffffff_"


@given(name=st.text(max_size=200))
def test_a_past_name_always_fits(name: str) -> None:
    wire = past_tool_name(ToolCall("a", name, "{}"), 64)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", wire)


@given(text=st.text())
def test_free_text_comes_back(text: str) -> None:
    assert wire_args(text, custom=True) == {"input": text}
    assert free_text(text) == text or text.lstrip().startswith("{")


@given(
    wire=st.binary(min_size=1),
    kind=st.one_of(st.none(), st.just("text"), st.integers(0, 9999)),
    data=st.data(),
)
def test_a_signature_comes_back_with_its_place(
    wire: bytes, kind: str | int | None, data: st.DataObject
) -> None:
    import base64

    plain = base64.b64encode(wire).decode()
    urls = base64.urlsafe_b64encode(wire).decode().rstrip("=")
    assert standard(urls) == standard(plain) == plain
    call = kind if isinstance(kind, int) else None
    signature = Signature(plain, kind == "text", call)
    assert own(signature.marked()) == signature


@given(text=st.text())
def test_what_others_wrote_comes_back(text: str) -> None:
    assert unwrap(wrap(text)) == (text, None)
    assert unwrap(seal(text)) == (None, text)


@given(text=st.one_of(st.text(), st.text().map("bW9kZWxwbGV4{}".format)))
def test_any_signature_of_a_guest_is_read(text: str) -> None:
    if (wire := standard(text)) is not None:
        unwrap(wire)
    own(text)
    own(f"gemini:{text}")


@pytest.mark.parametrize(
    "none", [None, "", "c2ln", "responses:a:b", "gemini:", "gemini:é"]
)
def test_what_gemini_did_not_sign_is_not_its_own(none: str | None) -> None:
    assert own(none) is None


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-x", "models/gemini-x:generateContent"),
        ("models/gemini-x", "models/gemini-x:generateContent"),
        ("tunedModels/a", "tunedModels/a:generateContent"),
        ("a b/c?d", "models/a%20b/c%3Fd:generateContent"),
    ],
)
def test_a_method_has_a_path(model: str, path: str) -> None:
    assert method_path(model, GENERATE) == path
    found = split_method(f"/v1beta/{path}")
    assert found == (model.removeprefix("models/"), GENERATE)


def test_a_stream_is_asked_for_as_events() -> None:
    assert stream_path("m") == "models/m:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/models/a%2Fb:countTokens", ("a/b", "countTokens")),
        ("models/a:b:embedContent", ("a:b", "embedContent")),
        (
            "/v1beta1/projects/P/locations/L/publishers/google/models/M:generateContent",
            ("M", GENERATE),
        ),
        (f"/v1/models/m:{EMBED_BATCH}", ("m", EMBED_BATCH)),
        ("/v1/models/m", None),
        ("/v1/models/:generateContent", None),
        ("/v1/mymodels/m:generateContent", None),
        ("/v1/chat/completions", None),
    ],
)
def test_a_path_names_a_model_and_a_method(
    path: str, found: tuple[str, str] | None
) -> None:
    assert split_method(path) == found


@given(path=st.text())
def test_any_path_is_read(path: str) -> None:
    split_method(path)
    split_method(f"models/{path}:x")


@pytest.mark.parametrize(
    ("model", "levels", "budgets", "limit"),
    [
        ("gemini-1.5-pro", (), None, 64),
        ("gemini-2.0-flash-001", (), None, 64),
        ("gemini-2.5-pro-preview", (), (128, 32_768), 64),
        ("models/gemini-2.5-flash", (), (1, 24_576), 64),
        ("gemini-2.5-flash-lite", (), (512, 24_576), 64),
        ("gemini-3-pro-preview", ("LOW", "MEDIUM", "HIGH"), None, 128),
        ("gemini-3.1-flash", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), None, 128),
        ("gemini-4-argon", ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"), None, 128),
        ("gemini-20260101", ("LOW", "MEDIUM", "HIGH"), None, 128),
        ("gemma-3-27b-it", (), None, 64),
        ("unheard-of", ("LOW", "MEDIUM", "HIGH"), None, 128),
    ],
)
def test_a_version_tells_what_a_model_takes(
    model: str, levels: tuple[str, ...], budgets: tuple[int, int] | None, limit: int
) -> None:
    abilities = guess(model)
    assert abilities.levels == levels
    assert abilities.budgets == budgets
    assert abilities.tool_name_limit == limit


@given(name=st.text())
def test_any_name_has_abilities(name: str) -> None:
    assert isinstance(guess(f"gemini-{name}"), Abilities)
