"""Lines that hold each other in place."""

from __future__ import annotations

import json
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.errors import StorageError
from modelplex.storage.audit import AuditLog, put_aside
from modelplex.storage.auditcheck import verify
from modelplex.storage.place import audit_file, state_folder

CASES = ["change", "cut", "drop", "swap", "twice", "insert"]


def opened(path: Path | str, said: list[str] | None = None, **options: Any) -> AuditLog:
    reports: list[str] = [] if said is None else said
    log = AuditLog.opened(str(path), lambda: 1000.0, reports.append, **options)
    assert said is not None or not reports, reports
    return log


def wrote(path: Path, lines: int = 5, **options: Any) -> list[bytes]:
    log = opened(path, **options)
    for number in range(lines):
        log.write("call", {"guest": "g", "n": number})
    log.close()
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_is_json_with_its_place_in_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = [json.loads(line) for line in wrote(path, 2)]
    assert [line["number"] for line in lines] == [1, 2]
    assert lines[0]["prev"] == "0" * 64 and lines[1]["prev"] == lines[0]["hash"]
    assert lines[1]["kind"] == "call" and lines[1]["n"] == 1
    assert lines[1]["time"] == 1000
    found = verify(str(path))
    assert found.ok and found.lines == 2 and found.head.hash == lines[1]["hash"]
    for name in (path, f"{path}.head"):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o600


def test_what_a_caller_names_like_the_chains_own_does_not_change_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    log = opened(path)
    log.write("call", {"number": 9, "prev": "x", "hash": "y", "odd": float("nan")})
    log.close()
    [line] = path.read_text().splitlines()
    assert verify(str(path)).ok
    assert json.loads(line)["number"] == 1 and "odd" not in line


@given(st.data())
def test_any_changed_missing_swapped_or_added_line_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("audit") / "a"
    lines = wrote(path)
    whole = b"".join(lines)
    i = data.draw(st.integers(0, 4))
    j = data.draw(st.integers(0, 4).filter(lambda n: n != i))
    match data.draw(st.sampled_from(CASES)):
        case "change":
            at = data.draw(st.integers(0, len(whole) - 1))
            byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
            damaged = whole[:at] + bytes([byte]) + whole[at + 1 :]
        case "cut":
            damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        case "drop":
            damaged = b"".join(lines[:i] + lines[i + 1 :])
            # Old files are deleted, so a log may begin anywhere.
            if i == 0:
                damaged = b"".join(lines[:1] + lines[2:])
        case "swap":
            lines[i], lines[j] = lines[j], lines[i]
            damaged = b"".join(lines)
        case "twice":
            damaged = b"".join([*lines[:i], lines[j], *lines[i:]])
        case _:
            damaged = b"".join([*lines[:i], b'{"kind":"call"}\n', *lines[i:]])
    path.write_bytes(damaged)
    found = verify(str(path))
    assert not found.ok and found.why


def test_lines_missing_at_the_end_are_found_by_the_head(tmp_path: Path) -> None:
    path = tmp_path / "a"
    lines = wrote(path)
    path.write_bytes(b"".join(lines[:3]))
    found = verify(str(path))
    assert (found.ok, found.lines) == (False, 3)
    assert found.why == "2 lines are missing at the end"
    (tmp_path / "a.head").unlink()
    assert "head is missing" in verify(str(path)).why


def test_a_chain_made_anew_is_found_only_by_a_head_kept_elsewhere(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    head = json.loads(wrote(path)[-1])["hash"]
    assert verify(str(path), head).ok
    for name in ("a", "a.head"):
        (tmp_path / name).unlink()
    log = opened(path)
    for _ in range(7):
        log.write("call", {"guest": "somebody else"})
    log.close()
    assert verify(str(path)).ok
    assert verify(str(path), head).why == "the line with the given hash is not in it"


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    wrote(path, 3)
    assert len(wrote(path, 2)) == 5
    assert verify(str(path)).ok


def test_a_process_that_died_between_line_and_head_loses_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    wrote(path, 3)
    head = (tmp_path / "a.head").read_bytes()
    wrote(path, 1)
    (tmp_path / "a.head").write_bytes(head)
    assert verify(str(path)).ok
    wrote(path, 1)
    assert verify(str(path)).lines == 5


@pytest.mark.parametrize("cut", [1, 40, 250])
def test_a_log_that_lost_its_end_goes_on_and_says_so_for_ever(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "a"
    wrote(path)
    path.write_bytes(path.read_bytes()[:-cut])
    said: list[str] = []
    log = opened(path, said)
    log.write("call", {})
    log.close()
    assert len(said) == 1
    resumed = json.loads(path.read_bytes().splitlines()[-2])
    assert resumed["kind"] == "resumed" and resumed["number"] == 6
    assert resumed["why"] in said[0] and len(resumed["lost"]) == 64
    assert not verify(str(path)).ok
    log = opened(path)
    log.close()
    assert not verify(str(path)).ok


def test_a_full_file_is_put_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    wrote(path, 40, max_size=1024, keep=3)
    aside = put_aside(str(path))
    assert len(aside) == 3
    found = verify(str(path))
    assert found.ok and found.head.number == 40 and found.lines < 40
    wrote(path, 1)
    assert verify(str(path)).ok
    Path(aside[1]).unlink()
    found = verify(str(path))
    assert not found.ok and "missing" in found.why


def test_a_restart_just_after_a_file_was_put_aside_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a"
    log = opened(path, max_size=1)
    log.write("call", {})
    log.close()
    assert path.read_bytes() == b"" and len(put_aside(str(path))) == 1
    wrote(path, 1)
    assert verify(str(path)).lines == 2


def test_only_one_process_writes(tmp_path: Path) -> None:
    log = opened(tmp_path / "a")
    with pytest.raises(StorageError, match="another process"):
        opened(tmp_path / "a")
    log.close()
    opened(tmp_path / "a").close()
    with pytest.raises(StorageError, match="closed"):
        log.write("call", {})


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be opened"):
        opened(tmp_path / "a")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("sync", "expected"), [("never", 0), ("each", 4)])
def test_each_line_is_on_the_disk_when_that_is_wanted(
    tmp_path: Path, sync: str, expected: int
) -> None:
    synced: list[int] = []
    log = opened(tmp_path / "a", sync=sync, fsync=synced.append)
    synced.clear()
    log.write("call", {})
    log.write("call", {})
    assert len(synced) == expected, "the line and the head, twice"
    log.close()


def test_a_line_that_cannot_be_written_whole_is_not_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "a"
    log = opened(path)
    log.write("call", {"n": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            log.write("call", {"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert log.write("call", {"n": 3}) == "2"
    log.close()
    assert verify(str(path)).lines == 2 and verify(str(path)).ok


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        verify(str(tmp_path / "a"))


def test_the_state_is_found_by_whoever_names_the_same_socket(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": "/var/state", "HOME": "/home/u"}
    (tmp_path / "link").symlink_to(tmp_path / "s")
    one = state_folder(str(tmp_path / "s"), None, environ)
    assert one == state_folder(str(tmp_path / "link"), None, environ)
    assert one.startswith("/var/state/modelplex/")
    assert audit_file(one, None) == f"{one}/audit.jsonl"
    assert audit_file(one, "/x/a") == "/x/a"
    assert state_folder("s", "/x", environ) == "/x"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_nobody_finds_any_more_records_nothing(
    replaced: bool, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    log = opened(path)
    log.write("call", {})
    os.rename(path, tmp_path / "elsewhere")
    if replaced:
        path.write_text("")
    with pytest.raises(StorageError, match="removed or replaced"):
        log.write("call", {})
    log.close()
