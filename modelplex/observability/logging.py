"""Log lines for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import gmtime, strftime
from typing import IO, Any

import msgspec
from attrs import define
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.reflect import safe_str
from zope.interface import implementer

_LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "error": LogLevel.error,
}
_NUMBERS = {level: number for number, level in enumerate(LogLevel.iterconstants())}
_OURS = "modelplex"
_DEPTH = 4  # of lists and tables in a field of a JSON line


@implementer(ILogObserver)
@define(eq=False)
class LineObserver:
    """
    Writes each event as one line.

    Events of the libraries below us are written from `warn` up: what they have to say
    about every connection is of no use to an operator.
    """

    _out: IO[str]
    _line: Callable[[LogEvent], str]
    _least: int

    def __call__(self, event: LogEvent) -> None:
        level = _NUMBERS.get(event.get("log_level"), 1)
        ours = str(event.get("log_namespace")).startswith(_OURS)
        if level < (self._least if ours else max(self._least, _NUMBERS[LogLevel.warn])):
            return
        try:
            self._out.write(self._line(event) + "\n")
            self._out.flush()
        except (BrokenPipeError, ValueError):
            pass  # nobody reads any more; serving goes on


def text_line(event: LogEvent) -> str:
    """A line for a person; a traceback follows on lines of its own."""
    level = event.get("log_level", LogLevel.info).name
    message = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        message = message.partition("\n")[0]  # some put the traceback into it too
    line = f"{_time(event)} {level:<5} {_visible(message)}"
    if failure is None:
        return line
    traceback = failure.getTraceback().splitlines()
    return "\n".join([line, *(f"    {_visible(told)}" for told in traceback)])


def json_line(event: LogEvent) -> str:
    """
    A line for a machine: the event's own fields, and the message for those that do
    not name themselves with an ``event`` of their own.
    """
    fields: dict[str, Any] = {
        "time": _time(event),
        "level": event.get("log_level", LogLevel.info).name,
    }
    if "event" not in event:
        fields["source"] = event.get("log_namespace", "-")
        fields["message"] = formatEvent(event)
    for key, value in event.items():
        if not key.startswith("log_") and key not in _UNTOLD:
            fields.setdefault(key, value if type(value) in _PLAIN else _plain(value))
    failure = event.get("log_failure")
    if failure is not None:
        fields["traceback"] = failure.getTraceback()
    try:
        return msgspec.json.encode(fields).decode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(fields)


def _plain(value: object, depth: int = _DEPTH) -> Any:
    """
    A field as JSON has it.

    Anything that is no plain value is its own text, and never its attributes: those
    may be secret.
    """
    match value:
        case list() | tuple() | set() | frozenset() if depth:
            return [_plain(item, depth - 1) for item in value]
        case dict() if depth:
            return {safe_str(k): _plain(v, depth - 1) for k, v in value.items()}
        case _:
            return value if type(value) in _PLAIN else safe_str(value)


_PLAIN = (str, int, float, bool, type(None))
_UNTOLD = frozenset({"ending", "isError", "failure"})
_second = (0, "")


def _time(event: LogEvent) -> str:
    """The time in UTC to the millisecond; what lies before the dot is kept."""
    global _second
    seconds, rest = divmod(event.get("log_time", 0.0), 1)
    if _second[0] != seconds:
        _second = (int(seconds), strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)))
    return f"{_second[1]}.{int(rest * 1000):03d}Z"


def _visible(text: str) -> str:
    """Control characters of a guest must not reach the operator's terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def observer(out: IO[str], format: str | None, level: str) -> LineObserver:
    """
    An observer that writes to `out`.

    :param format: ``text``, ``json``, or ``None`` for text on a terminal only.
    """
    text = format == "text" or (format is None and out.isatty())
    line = text_line if text else json_line
    return LineObserver(out, line, _NUMBERS[_LEVELS[level]])


def start(out: IO[str], format: str | None, level: str) -> None:
    """Send every log event of this process to `out`."""
    globalLogBeginner.beginLoggingTo(
        [observer(out, format, level)], redirectStandardIO=False
    )
