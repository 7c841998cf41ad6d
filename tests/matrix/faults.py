"""The rows of the matrix in which something goes wrong."""

from __future__ import annotations

from modelplex.testing.fakes.faults import Fault, Status
from modelplex.testing.fakes.script import Script
from tests.matrix.asking import Ask
from tests.matrix.cell import Cell
from tests.matrix.columns import KEY


def fails_as_itself(cell: Cell, status: int, stream: bool) -> None:
    headers = ("retry-after: 7",) if status == 429 else ()
    words = f"the words for {status}: {KEY} of acme"
    cell.says(Status(status, words, headers=headers))
    seen = 502 if status == 401 else status
    before = cell.guest.traffic.count
    error = _failing(cell, Ask(stream))
    assert cell.guest.error(error) == seen, repr(error)
    assert cell.guest.traffic.count == before + 1
    assert KEY not in str(error) and KEY not in repr(cell.guest.traffic.answered)
    assert ("the words for" in str(error)) == (status != 401)
    if status == 429:
        assert cell.guest.traffic.answered["retry-after"] == "7"
        assert ("RetryInfo" in str(error)) == (cell.guest.name == "gemini")


def breaks_off(cell: Cell, fault: Fault) -> None:
    cell.says(fault, repeat=20)
    error = _failing(cell, Ask(stream=True))
    assert cell.guest.error(error) == 0, repr(error)
    assert cell.guest.traffic.status == 200


def _failing(cell: Cell, ask: Ask) -> Exception:
    try:
        said = cell.guest.ask(cell.guest.user("Hi"), ask, cell.fast)
    except Exception as e:
        return e
    raise AssertionError(f"no error, but {said}")


def survives_a_dead_provider(cell: Cell, stream: bool) -> None:
    said = cell.ask(cell.guest.user("Hi"), Ask(stream), "spare")
    assert (said.text, said.ending) == (Script().text, "stop")
    assert cell.guest.traffic.answered["modelplex-provider"] == "p"
