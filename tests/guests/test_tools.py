"""What a guest may do with tools: deny before ask before allow."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.guests.tools import (
    Decision,
    ServerGrants,
    ToolPolicy,
    matches,
)

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY


def decided(
    tool: str,
    grants: ServerGrants = ServerGrants(),  # noqa: B008
    annotations: dict[str, Any] | None = None,
    **policy: Any,
) -> Decision:
    made = ToolPolicy("g", servers={"fs": grants}, **policy)
    return made.verdict("fs", tool, f"fs__{tool}", annotations).decision


def test_without_a_word_every_tool_of_a_server_is_allowed() -> None:
    assert decided("read") is ALLOW


def test_a_server_that_is_not_granted_has_no_tools() -> None:
    policy = ToolPolicy("g", servers={"fs": ServerGrants()})
    assert policy.verdict("git", "log", "git__log").decision is DENY
    assert not policy.sees("git") and policy.sees("fs")


@pytest.mark.parametrize(
    ("grants", "tools", "ask", "decision"),
    [
        (ServerGrants(deny=("rm",), ask=("rm",), allow=("rm",)), ("*",), (), DENY),
        (ServerGrants(ask=("rm",), allow=("rm",)), ("*",), (), ASK),
        (ServerGrants(allow=("r*",)), ("*",), (), ALLOW),
        (ServerGrants(allow=()), ("*",), (), DENY),
        (ServerGrants(), (), (), DENY),
        (ServerGrants(), ("fs__rm",), (), ALLOW),
        (ServerGrants(), ("git__*",), (), DENY),
        (ServerGrants(), ("*",), ("fs__*",), ASK),
        (ServerGrants(deny=("*",)), ("*",), ("fs__*",), DENY),
        (ServerGrants(ask=("*",)), ("git__*",), (), DENY),
        # case counts, and a glob is for all of the name
        (ServerGrants(allow=("RM",)), ("*",), (), DENY),
        (ServerGrants(allow=("r",)), ("*",), (), DENY),
    ],
)
def test_deny_goes_before_ask_and_ask_before_allow(
    grants: ServerGrants,
    tools: tuple[str, ...],
    ask: tuple[str, ...],
    decision: Decision,
) -> None:
    assert decided("rm", grants, tools=tools, ask=ask) is decision


GLOBS = st.lists(st.sampled_from(["*", "a*", "b*", "*b", "ab", "c"]), max_size=2)


@given(
    st.sampled_from(["a", "ab", "b", "c"]),
    st.builds(
        ServerGrants,
        allow=GLOBS.map(tuple),
        deny=GLOBS.map(tuple),
        ask=GLOBS.map(tuple),
        read=GLOBS.map(tuple),
        read_only=st.booleans(),
        trusted=st.booleans(),
    ),
    GLOBS,
    st.booleans(),
    st.booleans(),
)
def test_the_most_restrictive_word_wins(
    tool: str, grants: ServerGrants, ask: list[str], read_only: bool, hint: bool
) -> None:
    own = tuple(f"fs__{glob}" for glob in ask)
    annotations = {"readOnlyHint": hint}
    found = decided(tool, grants, annotations, ask=own, read_only=read_only)

    def any_of(globs: tuple[str, ...] | list[str]) -> bool:
        return any(fnmatchcase(tool, glob) for glob in globs)

    reads = any_of(grants.read) or (grants.trusted and hint)
    narrowed = (grants.read_only or read_only) and not reads
    if any_of(grants.deny) or not any_of(grants.allow) or narrowed:
        assert found is DENY
    else:
        assert found is (ASK if any_of(grants.ask) or any_of(ask) else ALLOW)
    # No word of the guest's own opens what its server's grants close.
    assert found >= decided(tool, grants, annotations)


def test_a_tool_that_calls_itself_read_only_is_believed_of_a_trusted_server() -> None:
    """Annotations are the server's own words: they open nothing by themselves."""
    hint = {"readOnlyHint": True}
    assert decided("wipe", ServerGrants(read_only=True), hint) is DENY
    trusted = ServerGrants(read_only=True, trusted=True)
    assert decided("wipe", trusted, hint) is ALLOW
    assert decided("wipe", trusted, {"readOnlyHint": "true"}) is DENY
    assert decided("wipe", trusted, {**hint, "destructiveHint": True}) is DENY
    assert decided("read", ServerGrants(read_only=True, read=("read",))) is ALLOW
    assert decided("wipe", ServerGrants(read=("read",)), read_only=True) is DENY


def test_a_tool_that_is_exposed_under_another_name_is_still_asked_about() -> None:
    policy = ToolPolicy("g", ask=("fs__delete*",), servers={"fs": ServerGrants()})
    odd = policy.verdict("fs", "delete/all", "fs_x_1a2b3c4d")
    assert odd.decision is ASK


def test_shadowing_a_tool_of_another_server_does_not_inherit_its_grants() -> None:
    """Two servers have a tool of one name; each is judged by its own server's words."""
    policy = ToolPolicy(
        "g", servers={"good": ServerGrants(), "evil": ServerGrants(deny=("send",))}
    )
    assert policy.verdict("good", "send", "good__send").decision is not DENY
    assert policy.verdict("evil", "send", "evil__send").decision is DENY


def test_cross_server_exfiltration_needs_a_tool_that_the_guest_was_given() -> None:
    """What one server makes a model do ends at the tools of the others it may use."""
    policy = ToolPolicy(
        "g",
        tools=("files__read_*", "web__fetch"),
        ask=("web__*",),
        servers={
            "files": ServerGrants(),
            "web": ServerGrants(),
            "mail": ServerGrants(),
        },
    )
    assert policy.verdict("files", "read_file", "files__read_file").decision is not DENY
    assert policy.verdict("mail", "send", "mail__send").decision is DENY
    assert policy.verdict("files", "write_file", "files__write_file").decision is DENY
    assert policy.verdict("web", "fetch", "web__fetch").decision is ASK


def test_a_very_long_name_is_no_tool() -> None:
    assert decided("a" * 2000) is DENY


def test_a_glob_of_many_stars_takes_no_time() -> None:
    assert not matches(["*a" * 30 + "b"], "a" * 1000)


def test_the_version_changes_with_what_the_policy_says() -> None:
    policies = [
        ToolPolicy("g"),
        ToolPolicy("g", ask=("x",)),
        ToolPolicy("g", tools=("x",)),
        ToolPolicy("g", read_only=True),
        ToolPolicy("g", servers={"a": ServerGrants()}),
        ToolPolicy("g", servers={"a": ServerGrants(deny=("x",))}),
    ]
    assert len({one.version for one in policies}) == len(policies)
    assert ToolPolicy("g").version == ToolPolicy("g").version
