"""What the arguments of a call must be like before a server sees them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelplex.guests.argument_rule import same
from modelplex.guests.arguments import (
    Checked,
    Refused,
    Rule,
    Rules,
    checked,
    listed_schema,
)

ANY = {"type": "object"}


def judged(
    arguments: Mapping[str, Any],
    *rules: Rule,
    schema: Mapping[str, Any] = ANY,
    start: str | None = None,
) -> Checked | Refused:
    made = Rules(tuple(rules), realpath=os.path.realpath, start=start)
    return checked(schema, arguments, made)


def passes(value: Any, **rule: Any) -> bool:
    return isinstance(judged({"a": value}, Rule(argument="/a", **rule)), Checked)


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ({"equals": 1}, [1, 1.0], [True, "1", 2, None, [1]]),
        ({"equals": "x"}, ["x"], ["X", "x ", ["x"]]),
        ({"equals": False}, [False], [0, "", None]),
        ({"one_of": ("a", 2)}, ["a", 2], ["b", "2", None]),
        ({"min_length": 1, "max_length": 2}, ["a", [1, 2], {"k": 1}], ["", "abc", 5]),
        ({"minimum": 0, "maximum": 9}, [0, 9, 4.5], [-1, 9.1, "4", True, float("nan")]),
        ({"max_size": 4}, ["ab", 1234], ["abc", [1, 2], "é\u0800"]),
        ({"matches": "[a-z]+"}, ["abc"], ["", "aB", "ab\n", "ab1", 5, ["ab"]]),
        ({"matches": "a|b"}, ["a", "b"], ["ab", "xb", "ax"]),
        ({"matches": "(?m)^a$"}, ["a"], ["a\nrm -rf"]),
    ],
)
def test_a_value_is_what_the_rule_demands_or_the_call_is_refused(
    rule: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    assert [value for value in right if not passes(value, **rule)] == []
    assert [value for value in wrong if passes(value, **rule)] == []


def test_an_argument_that_is_missing_is_refused_unless_it_may_be() -> None:
    demanded = Rule(argument="/a/b", equals=1)
    optional = Rule(argument="/a/b", equals=1, required=False)
    without: list[dict[str, Any]] = [{}, {"a": {}}, {"a": None}]
    for arguments in without:
        assert isinstance(judged(arguments, demanded), Refused)
        assert isinstance(judged(arguments, optional), Checked)
    assert isinstance(judged({"a": {"b": None}}, optional), Checked)
    assert isinstance(judged({"a": {"b": 2}}, optional), Refused)


def test_every_item_is_judged_and_another_shape_is_refused() -> None:
    rule = Rule(argument="/p/*/f", matches="[a-z]+")
    assert isinstance(judged({"p": [{"f": "a"}, {"f": "b"}]}, rule), Checked)
    assert isinstance(judged({"p": []}, rule), Checked)
    assert isinstance(judged({"p": {"x": {"f": "a"}}}, rule), Checked)
    two: list[Any] = [[{"f": "a"}, {"f": "/"}], [{}], [[{"f": "a"}]]]
    for odd in (*two, "a", 5, ["a"], None):
        assert isinstance(judged({"p": odd}, rule), Refused), odd


@pytest.mark.parametrize("key", ["Path", "PATH", "\uff50ath", "p\u00aath"])
def test_another_spelling_of_an_argument_does_not_get_around_its_rule(
    key: str,
) -> None:
    rule = Rule(argument="/path", equals="x", required=False)
    assert isinstance(judged({key: "y"}, rule), Refused)
    assert isinstance(judged({"path": "x", key: "y"}, rule), Refused)
    assert isinstance(judged({"path": "x", "paths": "y"}, rule), Checked)


def test_all_rules_hold_and_the_first_that_does_not_is_told() -> None:
    rules = [Rule(argument="/a", max_length=3), Rule(argument="/a", matches="x*")]
    assert judged({"a": "abc"}, *rules) == Refused(
        "/a does not match what is allowed", "argument /a"
    )


def test_no_reason_holds_a_value() -> None:
    rule = Rule(argument="/a", one_of=("hunter2",))
    said = judged({"a": "s3cret"}, rule)
    schema = {"properties": {"a": {"enum": ["hunter2"]}}}
    other = judged({"a": "s3cret"}, schema=schema)
    for one in (said, other):
        assert isinstance(one, Refused) and "s3cret" not in one.reason
    assert isinstance(said, Refused) and "hunter2" not in said.reason


# Pinned and hidden arguments

REPO = {
    "type": "object",
    "properties": {
        "repo": {"type": "string"},
        "options": {"type": "object", "properties": {"force": {}, "depth": {}}},
    },
    "required": ["repo"],
    "examples": [{"repo": "/etc", "options": {}}],
}


def test_a_pinned_argument_is_forced_and_not_seen() -> None:
    rule = Rule(argument="/repo", value="/work")
    assert judged({}, rule, schema=REPO) == Checked({"repo": "/work"})
    assert isinstance(judged({"repo": "/etc"}, rule, schema=REPO), Refused)
    assert isinstance(judged({"repo": "/work"}, rule, schema=REPO), Refused)
    rules = Rules((rule,), realpath=os.path.realpath)
    assert "repo" not in str(listed_schema(REPO, rules))
    assert "repo" in str(REPO), "the server's own is left alone"


def test_a_pinned_argument_may_be_inside_another() -> None:
    rule = Rule(argument="/options/force", value=False)
    assert judged({"repo": "x"}, rule) == Checked(
        {"repo": "x", "options": {"force": False}}
    )
    assert judged({"options": {"depth": 1}}, rule) == Checked(
        {"options": {"depth": 1, "force": False}}
    )
    options: list[Any] = [{"force": True}, "force", []]
    for odd in ({"options": one} for one in options):
        assert isinstance(judged(odd, rule), Refused)
    rules = Rules((rule,), realpath=os.path.realpath)
    assert "force" not in str(listed_schema(REPO, rules))
    assert "depth" in str(listed_schema(REPO, rules))


def test_a_hidden_argument_is_neither_seen_nor_taken() -> None:
    rule = Rule(argument="/repo", hidden=True)
    schema = {
        "anyOf": [{"properties": {"repo": {}, "x": {}}, "required": ["repo"]}],
        "dependentRequired": {"repo": ["x"]},
    }
    assert listed_schema(schema, Rules((rule,), realpath=os.path.realpath)) == {
        "anyOf": [{"properties": {"x": {}}, "required": []}],
        "dependentRequired": {},
    }
    assert isinstance(judged({"repo": None}, rule), Refused)
    assert isinstance(judged({"Repo": 1}, rule), Refused)
    assert judged({"x": 1}, rule) == Checked({"x": 1})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"argument": "a", "equals": 1}, "argument: expected a JSON pointer"),
        ({"argument": "/a~2", "equals": 1}, "argument: in a JSON pointer"),
        ({"argument": "/a"}, "argument: the rule demands nothing"),
        ({"argument": "/a/*", "value": 1}, "argument: what is pinned"),
        ({"argument": "/a", "hidden": True, "equals": 1}, "value: what is pinned"),
        ({"argument": "/a", "matches": "(?=a)"}, "matches: not a regular"),
        ({"argument": "/a", "matches": r"(a)\1"}, "matches: not a regular"),
        ({"argument": "/a", "matches": "a)|(?:b"}, "matches: not a regular"),
        ({"argument": "/a", "matches": "(a{1000}){1000}"}, "matches: not a regular"),
        ({"argument": "/a", "hosts": ("http://x",)}, "hosts: expected a host"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_a_mistake(
    rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said.split(":")[0]) as caught:
        Rule(**rule)
    assert said in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "A", "b"]) | st.text(), JSON, max_size=3))
def test_any_arguments_are_checked_or_refused_and_never_an_error(
    arguments: dict[str, Any],
) -> None:
    rules = [
        Rule(argument="/a", inside=("/nonexistent",)),
        Rule(argument="/b/*", hosts=("example.com",), required=False),
        Rule(argument="/c", value=1),
    ]
    for rule in rules:
        found = judged(arguments, rule)
        assert isinstance(found, Checked | Refused)


@given(JSON, JSON)
def test_values_are_the_same_when_python_says_so_but_for_booleans(
    one: Any, other: Any
) -> None:
    if same(one, other):
        assert one == other
    if type(one) is type(other) and isinstance(one, str | int | bool):
        assert same(one, other) == (one == other)


# A tool's own schema


def test_arguments_are_held_against_the_schema_before_they_are_sent() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 5}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert judged({"n": 5}, schema=schema) == Checked({"n": 5})
    for wrong in ({}, {"n": 6}, {"n": "5"}, {"n": True}, {"n": 1, "x": 2}):
        found = judged(wrong, schema=schema)
        assert isinstance(found, Refused) and found.rule == "schema"
    off = Rules(realpath=os.path.realpath, schema=False)
    assert isinstance(checked(schema, {}, off), Checked)


def test_json_bombs_in_a_schema_are_refused_at_once() -> None:
    """References that double at every step, which a validator would follow."""
    laughs: dict[str, Any] = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 10} for i in range(12)
    }
    laughs["d12"] = {"type": "string"}
    bomb = {"$defs": laughs, "$ref": "#/$defs/d0"}
    found = judged({}, schema=bomb)
    assert isinstance(found, Refused) and "too long" in found.reason
    twice = {"properties": {"a": {"$ref": "#/$defs/n"}}}
    deep = {"$defs": {"n": {"allOf": [twice, dict(twice)]}}, "$ref": "#/$defs/n"}
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"a": value}
    found = judged(value, schema=deep)
    assert isinstance(found, Refused) and "too long" in found.reason


def test_deep_schemas_and_arguments_are_refused() -> None:
    schema: dict[str, Any] = {}
    value: dict[str, Any] = {}
    for _ in range(200):
        schema, value = {"properties": {"a": schema}}, {"a": value}
    assert isinstance(judged({}, schema=schema), Refused)
    assert isinstance(judged(value), Refused)


def test_a_schema_that_refers_to_itself_without_end_is_refused() -> None:
    assert isinstance(judged({}, schema={"$ref": "#"}), Refused)
    loop = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    assert isinstance(judged({}, schema=loop), Refused)


def test_a_recursive_schema_that_is_harmless_is_followed() -> None:
    node = {
        "type": "object",
        "properties": {"l": {"$ref": "#/$defs/n"}, "r": {"$ref": "#/$defs/n"}},
        "additionalProperties": False,
    }
    value: dict[str, Any] = {}
    for _ in range(8):
        value = {"l": value, "r": value}
    schema = {"$defs": {"n": node}, "$ref": "#/$defs/n"}
    assert isinstance(judged(value, schema=schema), Checked)
    assert isinstance(judged({"l": {"x": 1}}, schema=schema), Refused)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/s.json", "file:///etc/hostname", "https://x.test/#/a"]
)
def test_ssrf_by_a_reference_in_a_schema_is_refused(uri: str) -> None:
    """Nothing outside of the schema is ever looked at."""
    for schema in ({"$ref": uri}, {"properties": {"a": {"$ref": uri}}}):
        found = judged({"a": 1}, schema=schema)
        assert found == Refused("the tool's schema is not valid", "schema")
    odd = judged({}, schema={"$schema": uri})
    assert isinstance(odd, Refused)


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "(?=(a+)+$)b", "(.*a){20}$", "^(?!x)(a*)*$"]
)
def test_regex_dos_by_a_schema_ends_after_bounded_steps(pattern: str) -> None:
    schema = {"properties": {"a": {"pattern": pattern}}}
    found = judged({"a": "a" * 50_000 + "!"}, schema=schema)
    assert isinstance(found, Refused)
    names: dict[str, Any] = {"patternProperties": {pattern: {}}}
    assert isinstance(judged({"a" * 50_000 + "!": 1}, schema=names), Checked | Refused)


def test_a_pattern_that_looks_around_is_tried_on_short_texts_only() -> None:
    """Where it starts anew at every character it takes the square of the length."""
    looks = {"properties": {"a": {"pattern": "^(?!x)"}, "b": {}}}
    assert isinstance(judged({"a": "a" * 512, "b": "b" * 9999}, schema=looks), Checked)
    assert isinstance(judged({"a": "a" * 513}, schema=looks), Refused)
    assert isinstance(judged({"a": "x"}, schema=looks), Refused)
    neither = {"properties": {"a": {"not": {"pattern": "(?=x)x"}}}}
    assert isinstance(judged({"a": "y"}, schema=neither), Checked)
    assert isinstance(judged({"a": "x"}, schema=neither), Refused)
    many = {"items": {"pattern": "(?=a)"}}
    large = {"properties": {"a": many}}
    assert isinstance(judged({"a": ["a" * 500] * 5000}, schema=large), Refused)
    value = {"pattern": "(?=x)"}
    same_value = {"properties": {"a": {"const": value}}}
    assert isinstance(judged({"a": value}, schema=same_value), Checked)


def test_many_patterns_on_a_long_text_are_refused() -> None:
    some = {"allOf": [{"pattern": f"a{{{n}}}"} for n in range(5)]}
    many = {"allOf": [{"pattern": f"a{{{n}}}"} for n in range(500)]}
    long = {"a": "a" * 1_000_000}
    assert isinstance(judged(long, schema={"properties": {"a": some}}), Checked)
    assert isinstance(judged(long, schema={"properties": {"a": many}}), Refused)
    assert isinstance(
        judged({"a": "a" * 999}, schema={"properties": {"a": many}}), Checked
    )


def test_regex_dos_by_an_argument_is_impossible_for_a_rule() -> None:
    assert not passes("a" * 500_000 + "!", matches="(a+)+|(a|a)*|(.*a){9}")


def test_a_schema_with_look_ahead_as_javascript_has_it_works() -> None:
    schema = {"properties": {"a": {"pattern": r"^(?!\.)(?!.*\.\.)[a-z.]+$"}}}
    assert isinstance(judged({"a": "a.b"}, schema=schema), Checked)
    assert isinstance(judged({"a": "a..b"}, schema=schema), Refused)


# Attacks on paths and hosts


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``root`` with links out of it and within, beside things nobody may touch."""
    top = tmp_path_factory.mktemp("tree").resolve()
    for folder in ("root/sub/deep", "root-evil", "outside/in"):
        (top / folder).mkdir(parents=True)
    (top / "outside/secret").write_text("x")
    (top / "root/out").symlink_to(top / "outside")
    (top / "root/sub/up").symlink_to("../..")
    (top / "root/loop").symlink_to("loop")
    (top / "root/here").symlink_to("sub/deep")
    (top / "root/a$b").write_text("x")
    return top


def inside(tree: Path, path: Any, start: Path | None = None) -> bool:
    rule = Rule(argument="/p", inside=(f"{tree}/root",))
    return isinstance(
        judged({"p": path}, rule, start=str(start) if start else None), Checked
    )


def test_a_path_inside_of_the_root_is_allowed(tree: Path) -> None:
    root = f"{tree}/root"
    for path in ("", "/", "/sub", "/sub/", "/sub/../sub", "//sub//deep", "/new/x"):
        assert inside(tree, root + path), path
    for path in ("/here/x", "/a$b", "/./sub", "/sub/deep/../..", "/x..y", "/..."):
        assert inside(tree, root + path), path
    assert inside(tree, "sub/x", start=tree / "root")


def test_path_traversal_is_refused(tree: Path) -> None:
    """CVE-2025-68143 and its like: a path that leaves the root, however it is put."""
    root = f"{tree}/root"
    for path in (
        *("/..", "/../outside", "/sub/../../outside", "/sub/deep/../../../x"),
        *("/out", "/out/secret", "/sub/up/outside", "/sub/up", "/here/../../../x"),
        *("-evil", "-evil/x", "/out/../sub/../x", "/loop/../../outside"),
    ):
        assert not inside(tree, root + path), path
    for path in ("/etc/passwd", "/", "..", "sub", "", " ", root[:-1], root.upper()):
        assert not inside(tree, path), path
    for path in ("../outside", "sub/../../x", "/etc", "out/secret"):
        assert not inside(tree, path, start=tree / "root"), path


def test_path_traversal_by_what_servers_read_otherwise_is_refused(tree: Path) -> None:
    root = f"{tree}/root"
    for path in (
        *("/%2e%2e/outside", "/%2E./x", "/sub%2f..%2f..", "/%252e%252e", "/x%00"),
        *(
            "/\0",
            "/x\n",
            "/..\\..\\outside",
            "/\u202e",
            "/a\u200b",
            "/\uff0e\uff0e/outside",
        ),
        *("/‥/outside", "/~/x", "/${HOME}", "/sub ", "/%c0%ae"),
    ):
        assert not inside(tree, root + path), path
    for path in (f"file://{root}", f"FILE:{root}", "~", "~root/x", "$HOME", "C:\\x"):
        assert not inside(tree, path, start=tree / "root"), path
    for odd in (None, 5, [root], {"path": root}, True, f" {root}", "x" * 5000):
        assert not inside(tree, odd, start=tree / "root"), odd


@given(
    st.lists(
        st.sampled_from(
            [
                *("..", ".", "", "sub", "deep", "out", "up", "here", "root", "outside"),
                *("root-evil", "loop", "new", "\uff0e\uff0e", "%2e%2e", "a$b", "~"),
            ]
        ),
        max_size=7,
    ),
    st.sampled_from(["{root}/", "", "/", "{top}/"]),
)
def test_a_path_that_escapes_is_always_refused(
    tree: Path, parts: list[str], start: str
) -> None:
    root = str(tree / "root")
    path = start.format(root=root, top=tree) + "/".join(parts)
    if not inside(tree, path, start=tree / "root"):
        return
    for read in (path, os.path.normpath(path)):
        real = os.path.realpath(os.path.join(root, read))
        assert real == root or real.startswith(root + "/")


def test_a_path_that_cannot_be_resolved_is_refused() -> None:
    def fails(path: str) -> str:
        raise OSError("no")

    rules = Rules((Rule(argument="/p", inside=("/r",)),), realpath=fails)
    assert isinstance(checked(ANY, {"p": "/r/x"}, rules), Refused)


HOSTS = (
    "example.com",
    "*.sub.test",
    "[::1]",
    "bücher.de",
    "port.test:8443",
    "10.1.2.3",
)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://example.com",
            "http://EXAMPLE.com:80/x?y#z",
            "https://example.com./",
        ),
        *("https://a.sub.test/", "https://a.b.sub.test", "http://[0:0:0:0::1]/"),
        *("https://xn--bcher-kva.de/", "https://port.test:8443/", "http://10.1.2.3/"),
        "https://example.com/@evil.test",
    ],
)
def test_a_url_of_a_listed_host_is_allowed(url: str) -> None:
    assert passes(url, hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        *("https://evil.test", "https://example.com.evil.test", "https://sub.test"),
        *(
            "https://xsub.test",
            "https://user@example.com",
            "https://example.com@evil.t",
        ),
        *("https://example.com:pw@evil.test/", "https://evil.test#@example.com"),
        *("https://evil.test?@example.com", "https://evil.test\\@example.com"),
        *("https://example.com\\.evil.test", "https:example.com", "//example.com"),
        *(
            "https:///example.com",
            "https://",
            "https://example.com:8443",
            "example.com",
        ),
        *("ftp://example.com", "file://example.com/etc", "javascript:alert(1)"),
        *("https://exam\tple.com", "https://example.com\n.evil.test", " https://a"),
        *(
            "https://\uff45xample.com",
            "https://bücher.de",
            "https://example.com%2eevil.t",
        ),
        *("https://example.com..", "https://.example.com", "https://[::ffff:1.2.3.4]"),
        *("https://[::1%25eth0]/", "http://0x0a010203/", "http://167838211/"),
        *("http://10.1.515/", "http://010.1.2.3/", "http://2130706433", "http://[::2]"),
        "https://port.test",
    ],
)
def test_ssrf_by_a_url_that_is_not_of_a_listed_host_is_refused(url: str) -> None:
    assert not passes(url, hosts=HOSTS)


@pytest.mark.parametrize(
    "words",
    ["--upload-pack=/bin/sh", "$(id)", "a;id", "`id`", "a\nid", "-oProxyCommand=id"],
)
def test_argument_and_command_injection_is_refused_by_a_pattern(words: str) -> None:
    """CVE-2025-68145 and mcp-remote's CVE-2025-6514: what a shell or git takes up."""
    assert passes("main", matches="[A-Za-z0-9][A-Za-z0-9._/-]*")
    assert not passes(words, matches="[A-Za-z0-9][A-Za-z0-9._/-]*")
