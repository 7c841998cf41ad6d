"""Arguments as they may be kept."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelplex.mcp.masking import Mask
from modelplex.mcp.redaction import redacted
from modelplex.secret import Secret
from modelplex.wire.canonicaljson import canonical

KEY = "sk-live-0123456789abcdef"
MASK = Mask.of([Secret(KEY)])


def test_short_values_are_shown_and_long_ones_summed_up() -> None:
    found = redacted(
        {"path": "/a", "n": 5, "on": True, "text": "x" * 81, "deep": {"a": ["b"]}}, MASK
    )
    assert found["path"] == "/a" and found["n"] == 5 and found["on"] is True
    assert found["text"].startswith("[81 characters, sha256 ")
    assert found["deep"] == {"a": ["b"]}


def test_what_is_called_a_secret_is_not_shown_at_all() -> None:
    for name in ("password", "API_KEY", "apiKey", "x-authorization", "dbPasswd"):
        found = redacted({name: "hunter2", "a": {name: ["hunter2"]}}, MASK)
        assert found == {name: "***", "a": {name: "***"}}


def test_a_known_secret_is_masked_in_values_and_names() -> None:
    found = redacted({"q": f"key {KEY}", KEY: 1, "l": [KEY]}, MASK)
    assert found == {"q": "key ***", "***": 1, "l": ["***"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda i: st.lists(i) | st.dictionaries(st.text(), i),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), JSON), st.integers(0, 40))
def test_what_is_kept_is_bounded_and_is_json(value: dict[str, Any], shown: int) -> None:
    def longest(one: Any) -> int:
        if isinstance(one, dict):
            return max([longest(v) for v in one.values()], default=0)
        if isinstance(one, list):
            return max(map(longest, one), default=0)
        return len(one) if isinstance(one, str) else 0

    found = redacted(value, MASK, shown)
    assert canonical(found)
    assert longest(found) <= max(shown, 60)


def test_very_many_members_and_levels_are_left_out() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    found = redacted({"deep": deep, "many": list(range(1000))}, MASK)
    assert len(found["many"]) == 65 and found["many"][-1] == "… 936 more"
    assert "too deep" in str(found["deep"])
    assert redacted({"n": 10**5000}, MASK)["n"].startswith("[an integer of")
