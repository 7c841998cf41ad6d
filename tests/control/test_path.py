"""Where the control socket is, and who may reach it."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from modelplex.control.path import control_path, make_directory
from modelplex.errors import StartError


def test_whoever_names_the_main_socket_finds_the_control_socket(tmp_path: Path) -> None:
    main = tmp_path / "run" / "modelplex.socket"
    main.parent.mkdir()
    (tmp_path / "link").symlink_to(main.parent)
    environ = {"XDG_RUNTIME_DIR": "/run/user/7"}
    digest = sha256(os.fsencode(main)).hexdigest()[:8]
    expected = f"/run/user/7/modelplex/{digest}/control.socket"
    for name in (
        main,
        tmp_path / "link/modelplex.socket",
        main.parent / "../run" / main.name,
    ):
        assert control_path(str(name), None, environ) == expected
    assert control_path(f"{main}2", None, environ) != expected
    assert control_path(str(main), "a/b.socket", environ) == os.path.abspath(
        "a/b.socket"
    )


def test_a_relative_name_is_as_good_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_RUNTIME_DIR": "/r"}
    relative = control_path("./m.socket", None, environ)
    assert relative == control_path(str(tmp_path / "m.socket"), None, environ)


def test_without_a_runtime_directory_it_is_never_beside_the_main_socket(
    tmp_path: Path,
) -> None:
    path = control_path(str(tmp_path / "m.socket"), None, {})
    places = ("/run/modelplex/", "/run/user/", "/tmp/modelplex-")
    assert path.startswith(places)
    assert not path.startswith(str(tmp_path))


def test_its_directories_are_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "session" / "modelplex" / "0123abcd" / "control.socket"
    before = os.umask(0)
    try:
        make_directory(str(path))
    finally:
        os.umask(before)
    for directory in list(path.parents)[:3]:
        assert directory.stat().st_mode & 0o777 == 0o700
    make_directory(str(path))  # and found again


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_directory_that_others_may_write_to_is_refused(
    tmp_path: Path, level: int, mode: int
) -> None:
    path = tmp_path / "session" / "modelplex" / "0123abcd" / "control.socket"
    make_directory(str(path))
    list(path.parents)[level].chmod(mode)
    with pytest.raises(StartError, match=r"\[server\] control"):
        make_directory(str(path))


def test_a_sticky_directory_above_is_as_good(tmp_path: Path) -> None:
    path = tmp_path / "tmp" / "modelplex" / "0123abcd" / "control.socket"
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    make_directory(str(path))
    assert path.parent.is_dir()


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "session" / "modelplex"
    parent.mkdir(parents=True, mode=0o700)
    (tmp_path / "elsewhere").mkdir(mode=0o777)
    (parent / "0123abcd").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError):
        make_directory(str(parent / "0123abcd" / "control.socket"))


def test_what_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "modelplex").write_text("a file")
    with pytest.raises(StartError, match=r"cannot be made.*\[server\] control"):
        make_directory(str(tmp_path / "modelplex" / "x" / "control.socket"))
