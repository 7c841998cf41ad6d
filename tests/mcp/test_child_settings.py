"""What a child is given, and what is never shown of it."""

from __future__ import annotations

from modelplex.mcp.child_settings import ChildSettings
from modelplex.secret import Secret


def test_a_child_inherits_a_few_names_and_no_key() -> None:
    host = {"PATH": "/bin", "HOME": "/h", "OPENAI_API_KEY": "sk-1", "LD_PRELOAD": "x"}
    settings = ChildSettings("a", ("x",), env={"TOKEN": Secret("t0k"), "HOME": "/w"})
    assert settings.environment(host) == {"PATH": "/bin", "HOME": "/w", "TOKEN": "t0k"}


def test_a_function_of_a_shell_is_not_inherited() -> None:
    host = {"TERM": "() { :; }; echo", "USER": "me"}
    assert ChildSettings("a", ("x",)).environment(host) == {"USER": "me"}


def test_the_longest_secret_is_masked_first() -> None:
    env: dict[str, str | Secret] = {"C": "plain", "D": Secret("")}
    env |= {"A": Secret("ab"), "B": Secret("abc")}
    settings = ChildSettings("a", ("x",), env=env, secrets=(Secret("z"),))
    assert settings.masked() == ("abc", "ab", "z")


def test_roots_are_told_as_addresses() -> None:
    settings = ChildSettings("a", ("x",), roots=("/srv/my files",))
    assert settings.told_roots() == (
        {"uri": "file:///srv/my%20files", "name": "my files"},
    )
