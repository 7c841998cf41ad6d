"""Which era a server is of, whatever it answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.handshake import Ask, Handshake, Opened, Step, Unfit

CLIENT = {"capabilities": {}, "clientInfo": {"name": "x"}}
DISCOVERED = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
INITIALIZED = {"protocolVersion": "2025-06-18", "capabilities": {}}


def begun(protocol: Any = "auto") -> Handshake:
    handshake = Handshake(protocol, CLIENT)
    handshake.begin()
    return handshake


def asked(step: Step | None) -> str:
    assert isinstance(step, Ask)
    return step.method


def test_auto_and_modern_probe_and_legacy_does_not() -> None:
    methods = [Handshake(p, CLIENT).begin().method for p in ("auto", "modern")]
    assert methods == ["server/discover"] * 2
    assert Handshake("legacy", CLIENT).begin() == Ask(
        "initialize", {"protocolVersion": "2025-11-25", **CLIENT}
    )


def test_a_modern_server_is_open_when_it_has_answered() -> None:
    opened = begun().answered({**DISCOVERED, "instructions": "be kind"})
    assert opened == Opened("2026-07-28", {"tools": {}}, "be kind")
    assert opened.modern


@pytest.mark.parametrize("code", [-32601, -32602, -32600, 0, -32000])
def test_any_other_error_means_a_legacy_server(code: int) -> None:
    handshake = begun()
    assert asked(handshake.failed(code, None)) == "initialize"
    opened = handshake.answered(INITIALIZED)
    assert opened == Opened("2025-06-18", {})
    assert not opened.modern


def test_a_discovery_without_a_modern_revision_means_a_legacy_server() -> None:
    told = {"supportedVersions": ["2025-11-25"]}
    assert asked(begun().answered(told)) == "initialize"


def test_silence_means_a_legacy_server_once() -> None:
    handshake = begun()
    assert asked(handshake.overdue()) == "initialize"
    assert handshake.overdue() is None


def test_a_server_that_was_said_to_be_modern_is_not_initialized() -> None:
    handshake = begun("modern")
    assert handshake.overdue() is None
    assert isinstance(handshake.failed(-32601, None), Unfit)


@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_a_modern_error_is_not_answered_with_initialize(code: int) -> None:
    assert isinstance(begun().failed(code, {"supported": ["2027-01-01"]}), Unfit)


def test_a_modern_error_that_names_our_revision_is_followed_once() -> None:
    handshake, told = begun(), {"supported": ["2026-07-28"]}
    assert asked(handshake.failed(-32022, told)) == "server/discover"
    assert isinstance(handshake.failed(-32022, told), Unfit)


def test_a_modern_error_that_names_legacy_revisions_only_is_initialized() -> None:
    assert asked(begun().failed(-32022, {"supported": ["2025-06-18"]})) == "initialize"


def test_initialize_is_asked_again_with_a_revision_that_is_supported() -> None:
    handshake, told = begun("legacy"), {"supported": ["2024-11-05", "2025-03-26"]}
    step = handshake.failed(-32602, told)
    assert isinstance(step, Ask)
    assert step.params["protocolVersion"] == "2025-03-26"
    assert isinstance(handshake.failed(-32602, told), Unfit)


@pytest.mark.parametrize("version", ["1999-01-01", "2026-07-28", None, 3, []])
def test_a_revision_that_nobody_knows_is_unfit(version: object) -> None:
    told = {"protocolVersion": version, "capabilities": {}}
    assert isinstance(begun("legacy").answered(told), Unfit)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
answers = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("protocolVersion", "supportedVersions", "supported", "capabilities"), anything
    ),
)


@given(
    st.sampled_from(["auto", "legacy", "modern"]),
    st.lists(
        st.tuples(st.just("answered"), anything | answers)
        | st.tuples(st.just("failed"), anything | answers)
        | st.tuples(st.just("overdue"), st.none()),
        max_size=8,
    ),
)
def test_it_comes_to_an_end_whatever_is_answered(
    protocol: str, told: list[tuple[str, Any]]
) -> None:
    handshake, asks = begun(protocol), 1
    for how, what in told:
        if how == "overdue":
            step = handshake.overdue()
        elif how == "failed":
            step = handshake.failed(-32022, what)
        else:
            step = handshake.answered(what)
        if step is None:
            continue
        if not isinstance(step, Ask):
            return
        asks += 1
        assert asks <= 4
