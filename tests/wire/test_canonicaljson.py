"""Equal values are equal bytes."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.wire.canonicaljson import canonical, digest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    # A larger one that is whole is written with the digits that tell it from others.
    | st.floats(-(2.0**53), 2.0**53)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


def shuffled(value: Any, seed: int) -> Any:
    """The same value with its members in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.Random(seed).shuffle(keys)
        return {key: shuffled(value[key], seed) for key in keys}
    return [shuffled(v, seed) for v in value] if isinstance(value, list) else value


@given(JSON, st.integers())
def test_the_order_of_keys_does_not_matter(value: Any, seed: int) -> None:
    assert digest(value) == digest(shuffled(value, seed))


@given(JSON)
def test_what_is_written_is_the_value(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(value: float) -> None:
    assert float(canonical(value)) == value


@given(JSON, JSON)
def test_other_values_are_other_bytes(one: Any, other: Any) -> None:
    if one != other:
        assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 8785 §3.2.2 to 3.2.4 and appendix B
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (0.000000000000000000000000001, "1e-27"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1e21, "1e+21"),
        (999999999999999700000.0, "999999999999999700000"),
        (333333333.3333332, "333333333.3333332"),
        (0.000001, "0.000001"),
        (0.0000001, "1e-7"),
        (-0.0, "0"),
        (1424953923781206.25, "1424953923781206.2"),
        ('\u20ac$\x0f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        (
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6},
            '{"\\r":2,"1":4,"\x80":6,"€":1,"\U0001f600":5,"\ufb33":3}',
        ),
        ([None, True, [], {}], "[null,true,[],{}]"),
        ("\ud800", '"\\ud800"'),
        (10**30, "1" + "0" * 30),
    ],
)
def test_values_are_written_as_the_rfc_says(value: Any, text: str) -> None:
    assert canonical(value) == text.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: 2}, b"x", {"a": {1}}]
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"no text|does not have|nothing that"):
        canonical(value)


def test_what_is_very_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        canonical(value)
