"""``modelplex init`` writes what it can itself load, and never a key."""

from __future__ import annotations

import argparse
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.cli import init
from modelplex.cli.vendors import VENDORS
from modelplex.config import load, parse

KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from([vendor.variable for vendor in VENDORS]),
    KEYS.map(lambda key: f"~key~{key}"),
)
HOSTS = st.sampled_from(
    ["127.0.0.1:11434", "localhost", "0.0.0.0", ":8080", "http://box:1", "https://o/x"]
)


def initialise(
    path: Path, environ: Mapping[str, str], *options: str
) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    init.add_arguments(parser)
    stdout = io.StringIO()
    args = parser.parse_args(["-c", str(path), *options])
    return init.run(args, environ, stdout), stdout.getvalue()


@given(environ=ENVIRONMENTS, host=st.none() | HOSTS)
def test_what_is_written_loads_with_a_provider_for_each_key_found(
    environ: dict[str, str], host: str | None
) -> None:
    used = {v.name: v.variable for v in reversed(VENDORS) if v.variable in environ}
    expected = set(used)
    if host is not None:
        environ = {**environ, "OLLAMA_HOST": host}
        expected.add("ollama")
    text = init.render(environ)
    config = parse(text, environ, strict=True)
    assert {p.name for p in config.providers} == (expected or {"demo"})
    assert config.warnings == ()
    assert not any(key in text for key in environ.values() if "~key~" in key)
    revealed = {k.reveal() for p in config.providers for k in p.api_keys}
    assert revealed == {environ[variable] for variable in used.values()}


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "sk-1"}])
def test_each_example_it_comments_out_loads_once_turned_on(
    environ: dict[str, str],
) -> None:
    lines = init.render(environ).splitlines()
    on = "\n".join(
        line[1:] if line.startswith("#") and line[1:2] not in (" ", "") else line
        for line in lines
    )
    config = parse(on, {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"})
    assert {"openai", "anthropic", "ollama"} <= {p.name for p in config.providers}


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        (("GEMINI_API_KEY",), "GEMINI_API_KEY"),
        (("GOOGLE_API_KEY",), "GOOGLE_API_KEY"),
        (("GEMINI_API_KEY", "GOOGLE_API_KEY"), "GOOGLE_API_KEY"),
    ],
)
def test_gemini_has_one_section_whatever_its_key_is_called(
    variables: tuple[str, ...], key: str
) -> None:
    environ = {variable: f"of-{variable}" for variable in variables}
    [gemini] = parse(init.render(environ), environ, strict=True).providers
    assert gemini.type == "gemini"
    assert [k.reveal() for k in gemini.api_keys] == [f"of-{key}"]


@pytest.mark.parametrize("version", [None, "2024-10-21"])
def test_azure_is_found_by_the_variables_of_its_own_clients(
    version: str | None,
) -> None:
    environ = {
        "AZURE_OPENAI_API_KEY": "secret-of-azure",
        "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
    }
    if version is not None:
        environ["OPENAI_API_VERSION"] = version
    text = init.render(environ)
    [azure] = parse(text, environ, strict=True).providers
    assert (azure.type, azure.api_version) == ("azure", version)
    assert azure.base_url == environ["AZURE_OPENAI_ENDPOINT"]
    assert "secret-of-azure" not in text


@pytest.mark.parametrize("endpoint", [None, "", "res.openai.azure.com"])
def test_azure_is_left_out_if_nothing_says_where_it_is(endpoint: str | None) -> None:
    environ = {"AZURE_OPENAI_API_KEY": "k"}
    if endpoint is not None:
        environ["AZURE_OPENAI_ENDPOINT"] = endpoint
    config = parse(init.render(environ), environ)
    assert [p.name for p in config.providers] == ["demo"]


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("box", "http://box:11434"),
        (":99", "http://127.0.0.1:99"),
        ("https://box/ollama", "https://box/ollama"),
    ],
)
def test_every_form_of_ollama_host_becomes_a_url(host: str, base_url: str) -> None:
    environ = {"OLLAMA_HOST": host}
    config = parse(init.render(environ), environ)
    assert [p.base_url for p in config.providers] == [base_url]
    later = parse(init.render(environ), {})
    assert "11434" in later.providers[0].base_url


def test_an_ollama_host_that_is_no_host_is_left_out() -> None:
    environ = {"OLLAMA_HOST": "no such host"}
    config = parse(init.render(environ), environ)
    assert [p.name for p in config.providers] == ["demo"]


def test_the_file_is_private_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    before = os.umask(0)
    try:
        code, told = initialise(path, {"OPENAI_API_KEY": "sk-secret"})
    finally:
        os.umask(before)
    assert code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path, {"OPENAI_API_KEY": "sk-secret"}).warnings == ()
    assert "openai" in told
    assert f"modelplex check -c {path}" in told
    assert "sk-secret" not in told


def test_without_a_key_it_says_that_the_demo_provider_is_used(tmp_path: Path) -> None:
    code, told = initialise(tmp_path / "c.toml", {})
    assert code == 0
    assert "demo provider" in told


def test_a_file_is_replaced_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("mine")
    assert initialise(path, {})[0] == 1
    assert path.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert initialise(path, {}, "--force")[0] == 0
    assert "demo" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert initialise(tmp_path / "no" / "c.toml", {}, *options)[0] == 1
    said = capsys.readouterr().err
    assert "cannot be written: No such file or directory" in said
    assert said.count("\n") == 1


def test_a_key_that_cannot_be_sent_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    assert initialise(path, {"OPENAI_API_KEY": "sk-\u00fcber\nall"})[0] == 1
    said = capsys.readouterr().err
    assert "api_key" in said
    assert "ber" not in said.replace("because", "")
    assert not path.exists()


def test_config_file_names_the_file_when_no_option_does(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    init.add_arguments(parser)
    path = tmp_path / "named.toml"
    environ = {"CONFIG_FILE": str(path)}
    assert init.run(parser.parse_args([]), environ, io.StringIO()) == 0
    assert path.exists()
