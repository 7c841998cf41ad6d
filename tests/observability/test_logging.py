"""Log lines: for people without surprises, for machines always one JSON object."""

from __future__ import annotations

import json
from io import StringIO
from math import inf
from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from modelplex.observability.logging import json_line, observer, text_line

WHEN = 1764065261.0789


def event(format: str = "{text}", **fields: Any) -> LogEvent:
    return {
        "log_level": LogLevel.info,
        "log_namespace": "modelplex.x",
        "log_format": format,
        "log_time": WHEN,
        **fields,
    }


def failure(message: str) -> Failure:
    try:
        raise ValueError(message)
    except ValueError:
        return Failure()


@frozen
class Keyed:
    """Something with a secret that its repr does not show."""

    name: str
    key: str = field(repr=False)


hostile = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\n", "\r\n2026 error forged", "\x1b[2J", "\x00", "\u2028", "\u202e", "\ud800"]
    ),
)


@given(hostile)
def test_what_a_guest_says_stays_on_one_line_and_moves_no_cursor(text: str) -> None:
    line = text_line(event(text=text))
    assert line.isprintable()
    assert line.startswith("2025-11-25T10:07:41.078Z info  ")
    line.encode()


def test_a_traceback_follows_its_line_and_cannot_forge_another() -> None:
    trouble = failure("\x1b[31mbad\n2026-01-01T00:00:00.000Z info  forged")
    first, *rest = text_line(event("Oh", log_failure=trouble)).split("\n")
    assert first.endswith("info  Oh")
    assert "Traceback" in rest[0]
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


@example({"b": inf, "model": -inf}, False)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "model", "log_secret", "message", "isError"]),
        st.one_of(
            hostile,
            st.integers(),
            st.floats(allow_nan=False),
            st.none(),
            st.booleans(),
            st.binary(max_size=3),
            st.lists(hostile, max_size=2),
            st.dictionaries(st.integers() | hostile, hostile, max_size=2),
            st.sets(st.integers(), max_size=2),
            st.just(Keyed("n", "sk-secret")),
            st.builds(object),
        ),
    ),
    st.booleans(),
)
def test_any_event_is_one_line_of_json(fields: dict[str, Any], fails: bool) -> None:
    trouble = {"log_failure": failure("x\ny")} if fails else {}
    line = json_line(event("said {a}", **fields, **trouble))
    assert "\n" not in line
    assert "sk-secret" not in line
    line.encode()
    read = json.loads(line)
    assert read["time"] == "2025-11-25T10:07:41.078Z"
    assert read["level"] == "info"
    assert "log_secret" not in read
    assert ("traceback" in read) is fails
    for key in ("b", "model"):
        value = fields.get(key)
        if isinstance(value, str | int | float | bool):
            # JSON has no word for an infinity.
            told = None if value in (inf, -inf) else value
            assert read[key] == told


def test_an_event_that_names_itself_has_its_fields_and_no_words() -> None:
    line = json_line(event("{x}", event="exchange", x=1, dropped=("a",), ending=" (e)"))
    assert json.loads(line) == {
        "time": "2025-11-25T10:07:41.078Z",
        "level": "info",
        "event": "exchange",
        "x": 1,
        "dropped": ["a"],
    }
    other = json.loads(json_line(event("Hi {x}", x=1)))
    assert other["message"] == "Hi 1"
    assert other["source"] == "modelplex.x"


def test_a_field_that_cannot_be_shown_does_not_stop_the_line() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert "no" in json.loads(json_line(event("Hi", x=Broken())))["x"]


def written(level: str, *events: LogEvent) -> list[str]:
    out = StringIO()
    write = observer(out, "text", level)
    for one in events:
        write(one)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", "debug info warn error critical"),
        ("info", "info warn error critical"),
        ("warn", "warn error critical"),
        ("error", "error critical"),
    ],
)
def test_a_level_shows_what_is_as_bad_or_worse(level: str, shown: str) -> None:
    for namespace, least in (("modelplex.a", shown), ("twisted.web", shown)):
        events = [
            event(text="x", log_level=one, log_namespace=namespace)
            for one in LogLevel.iterconstants()
        ]
        seen = [line.split()[1] for line in written(level, *events)]
        expected = least.split()
        if namespace != "modelplex.a":
            expected = [w for w in expected if w not in ("debug", "info")]
        assert seen == expected


def test_an_event_without_anything_is_no_trouble() -> None:
    assert written("debug", {}, {"log_namespace": None, "log_format": None}) == []
    [line] = written("info", {"log_namespace": "modelplex", "log_format": "Hi"})
    assert line.endswith("Hi")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "format", "as_json"),
    [
        (StringIO(), None, True),
        (Terminal(), None, False),
        (StringIO(), "text", False),
        (Terminal(), "json", True),
    ],
)
def test_text_is_for_terminals_unless_it_is_asked_for(
    out: StringIO, format: str | None, as_json: bool
) -> None:
    observer(out, format, "info")(event(text="{}"))
    assert out.getvalue().startswith("{") is as_json
    assert out.getvalue().endswith("\n")


class Gone(StringIO):
    def write(self, s: str) -> int:
        raise BrokenPipeError


def test_serving_goes_on_when_nobody_reads_the_log() -> None:
    closed = StringIO()
    closed.close()
    for out in (Gone(), closed):
        observer(out, "text", "info")(event(text="x"))


def test_an_observer_is_one() -> None:
    out = StringIO()
    watching = observer(out, "json", "info")
    verifyObject(ILogObserver, watching)
    log = Logger("modelplex.test", observer=LogPublisher(watching))
    log.info("{model} served", model="m\n")
    assert json.loads(out.getvalue())["model"] == "m\n"
