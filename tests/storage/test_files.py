"""Small files that are ours alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from modelplex.errors import StorageError
from modelplex.storage import files


def test_a_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    files.make_private(str(path))
    files.make_private(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "file", "link", "file/x"):
        with pytest.raises(StorageError):
            files.make_private(str(tmp_path / name))


def test_a_file_is_read_up_to_a_limit_and_only_if_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert files.read(str(path), 10) is None
    path.write_bytes(b"0123456789")
    assert files.read(str(path), 10) == b"0123456789"
    with pytest.raises(StorageError, match="over 9 bytes"):
        files.read(str(path), 9)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a file of ours"):
        files.read(str(tmp_path / "pipe"), 9)
    with pytest.raises(StorageError):
        files.read(str(tmp_path), 9)


def test_what_cannot_be_replaced_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.replace(str(path), b"one")
    (tmp_path / "f.new").write_bytes(b"left by a process that died")
    files.replace(str(path), b"two")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError):
        files.replace(str(tmp_path / "none" / "f"), b"x")


def test_a_file_that_is_put_aside_covers_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for n in (1, 2):
        path.write_text(str(n))
        assert files.put_aside(str(path)) == f"{path}.bad-{n}"
    assert (tmp_path / "f.bad-1").read_text() == "1"
    with pytest.raises(StorageError):
        files.put_aside(str(path))
