"""What the log is told of who logs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import Logger

import modelplex

PACKAGE = Path(modelplex.__file__).parent


def loggers() -> Iterator[type]:
    """Every class of ours that logs."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        text = path.read_text()
        if "testing" in path.parts or "    log = Logger()" not in text:
            continue
        for found in vars(importlib.import_module(name)).values():
            ours = isinstance(found, type) and found.__module__ == name
            if ours and isinstance(vars(found).get("log"), Logger):
                yield found


LOGGERS = list(loggers())


def test_there_are_such_classes() -> None:
    assert len(LOGGERS) > 20


@pytest.mark.parametrize("kind", LOGGERS, ids=lambda kind: kind.__qualname__)
def test_who_logs_does_not_show_what_it_holds(kind: type) -> None:
    # Every event has its source in it, and an observer may write that down: bodies,
    # arguments, all that can be reached from there.
    assert "__repr__" not in vars(kind)
