"""When an upstream says that a request may be tried again, in three forms."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from os import environ
from time import tzset

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.outbound.retry_after import LONGEST, retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, as RFC 9110 writes dates


@pytest.fixture
def east() -> Iterator[None]:
    """A clock that is not at UTC."""
    before = environ.get("TZ")
    environ["TZ"] = "Asia/Tokyo"
    tzset()
    yield
    del environ["TZ"]
    if before is not None:
        environ["TZ"] = before
    tzset()


@pytest.mark.parametrize(
    ("header", "milliseconds", "seconds"),
    [
        ("7", None, 7.0),
        ("0", None, 0.0),
        (" 1.5 ", None, 1.5),
        (None, "250", 0.25),
        ("7", "250.5", 0.2505),
        ("7", "soon", 7.0),
        ("7", "", 7.0),
        ("99999999", None, LONGEST),
        (None, "999999999999", LONGEST),
        ("Sun, 06 Nov 1994 08:50:07 GMT", None, 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", None, 30.0),
        ("Sun Nov  6 08:50:07 1994", None, 30.0),
        ("Sun, 06 Nov 1994 08:50:07 -0000", None, 30.0),
        ("Sun, 06 Nov 1994 17:50:07 +0900", None, 30.0),
        ("Sun, 06 Nov 1994 08:40:00 GMT", None, 0.0),
        ("Sun, 06 Nov 2094 08:40:00 GMT", None, LONGEST),
        ("Sun, 99 Nov 1994 08:40:00 GMT", None, None),
        (None, None, None),
        ("", None, None),
        ("-5", None, None),
        ("1e3", None, None),
        ("inf", None, None),
        ("nan", None, None),
        ("9" * 400, None, None),
        ("soon", "never", None),
    ],
)
def test_three_forms_are_read(
    header: str | None, milliseconds: str | None, seconds: float | None, east: None
) -> None:
    assert retry_after(header, milliseconds, NOW) == pytest.approx(seconds)


@given(
    st.none()
    | st.text(max_size=30)
    | st.text("0123456789.:, GMTSunNov-+", max_size=30),
    st.none() | st.text(max_size=20),
    st.floats(0, 2**33),
)
def test_any_text_is_a_sane_wait_or_none(
    header: str | None, milliseconds: str | None, now: float
) -> None:
    seconds = retry_after(header, milliseconds, now)
    assert seconds is None or 0 <= seconds <= LONGEST


@given(st.integers(0, 2**32), st.integers(0, int(LONGEST)))
def test_a_date_is_as_many_seconds_away_as_it_is(now: int, wait: int) -> None:
    date = datetime.fromtimestamp(now + wait, UTC)
    assert retry_after(format_datetime(date, usegmt=True), None, now) == wait
