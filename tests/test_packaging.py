"""What `pip install` gives, and that the locks say the same as pyproject.toml."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("build", "demo", "dev", "runtime")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """What a command printed; the test fails with all of it when it failed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def pinned(lock: str) -> dict[str, str]:
    """Name to version, for every line of a lock, whatever its marker."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def group(name: str) -> list[Requirement]:
    """The requirements of a dependency group, those of included groups too."""
    found: list[Requirement] = []
    for entry in PROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            found.append(Requirement(entry))
        else:
            found += group(entry["include-group"])
    return found


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml wants to be in a lock."""
    wanted = [] if lock == "runtime" else group(lock)
    if lock != "build":
        wanted += map(Requirement, PROJECT["project"]["dependencies"])
    return wanted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        folder,
        cwd=ROOT,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel, and nothing it depends on, is installed in."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps"]
    run(*pip, "--target", folder, wheel, cwd=folder)
    return folder


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as opened:
        (path,) = (n for n in opened.namelist() if n.endswith(f".dist-info/{name}"))
        return opened.read(path).decode()


def test_the_plugin_lies_where_twistd_looks_and_hides_nothing_of_twisted(
    wheel: Path,
) -> None:
    ours = {name for name in names(wheel) if name.startswith("twisted/")}
    assert ours == {"twisted/plugins/modelplex_plugin.py"}


def test_the_wheel_holds_the_whole_package_and_only_it(wheel: Path) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "modelplex").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert modules <= names(wheel)
    assert not [n for n in names(wheel) if "newsfragments" in n or n.endswith(".pyc")]
    assert {name.split("/")[0] for name in names(wheel)} == {
        "modelplex",
        "twisted",
        f"modelplex-{PROJECT['project']['version']}.dist-info",
    }


def test_the_only_script_is_modelplex(wheel: Path) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(metadata(wheel, "entry_points.txt"))
    assert scripts.sections() == ["console_scripts"]
    assert dict(scripts["console_scripts"]) == {"modelplex": "modelplex.cli.main:main"}


def test_the_licence_travels_with_the_wheel(wheel: Path) -> None:
    headers = Parser().parsestr(metadata(wheel, "METADATA"))
    assert headers["License-Expression"] == "MIT"
    assert headers.get_all("License-File") == ["LICENSE"]
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()


def test_twistd_lists_modelplex_from_the_wheel(installed: Path) -> None:
    twistd = Path(sys.executable).with_name("twistd")
    where = "import twisted.plugins.modelplex_plugin as p; print(p.__file__)"
    environ = {"PYTHONPATH": str(installed)}
    plugin = run(sys.executable, "-c", where, cwd=installed, **environ).strip()
    assert Path(plugin) == installed / "twisted" / "plugins" / "modelplex_plugin.py"
    listed = run(twistd, "--help", cwd=installed, **environ)
    assert re.search(r"^ +modelplex +Every model", listed, re.MULTILINE)


def test_the_installed_command_runs(installed: Path) -> None:
    printed = run(
        installed / "bin" / "modelplex",
        "--version",
        cwd=installed,
        PYTHONPATH=str(installed),
    )
    assert PROJECT["project"]["version"] in printed


@pytest.mark.package_network
def test_a_fresh_environment_gets_both_commands(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install"]
    lock = ROOT / "requirements" / "runtime.txt"
    run(*pip, "--require-hashes", "--no-deps", "-r", lock, cwd=tmp_path)
    run(*pip, ROOT, cwd=tmp_path)
    run(venv / "bin" / "python", "-m", "pip", "check", cwd=tmp_path)
    assert "modelplex" in run(venv / "bin" / "twistd", "--help", cwd=tmp_path)
    printed = run(venv / "bin" / "modelplex", "--version", cwd=tmp_path)
    assert PROJECT["project"]["version"] in printed


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_the_project_asks_for(lock: str) -> None:
    versions = pinned(lock)
    for wanted in asked(lock):
        version = versions.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted} is not in it: make lock"
        assert wanted.specifier.contains(version), f"{wanted}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_is_a_part_of_the_largest(lock: str) -> None:
    assert pinned(lock).items() <= pinned("dev").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_download_from(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^--|^-[if]\b", text, re.MULTILINE)


def test_every_dependency_has_a_documented_reason() -> None:
    text = (ROOT / "docs" / "dependencies.rst").read_text()
    terms = {
        canonicalize_name(name.strip())
        for line in re.findall(r"^(\w[\w.,\- ]*)\n {4}\S", text, re.MULTILINE)
        for name in line.split(",")
    }
    assert {canonicalize_name(r.name) for r in asked("dev")} == terms
