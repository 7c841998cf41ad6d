"""A configuration is read right, or every mistake in it is told and no key is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import toml
from hypothesis import given
from hypothesis import strategies as st

from modelplex import configdoc
from modelplex.config import (
    Argument,
    Audit,
    Config,
    Demo,
    Entra,
    Guest,
    Mcp,
    McpServer,
    Provider,
    Section,
    Server,
    Timeouts,
    load,
    parse,
)
from modelplex.configtext import read_toml
from modelplex.errors import ConfigError
from modelplex.secret import Secret
from modelplex.settings_mcp import Oauth, Restarts, ServerLimits, ServerTools

ROOT = Path(__file__).parent.parent
ENVIRON = {
    "OPENAI_API_KEY": "sk-one",
    "ANTHROPIC_API_KEY": "sk-two",
    "GEMINI_API_KEY": "AI-three",
}
AZURE = "type = 'azure'\nbase_url = 'https://r.example'"
ENTRA = "entra = { tenant_id = 't', client_id = 'c', client_secret = 's' }"
SERVER = "[mcp]\nservers = [{ name = 'a', command = 'b'"
MARK = "k3y-that-must-not-show"


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {})
    return caught.value.problems


def provider(body: str, environ: dict[str, str] | None = None) -> Provider:
    text = f'[[providers]]\nname = "p"\n{body}'
    config = parse(text, {} if environ is None else environ)
    assert config.disabled == ()
    return config.providers[0]


# The shapes that the original's README shows.

QUICK_START = """
# Several providers with failover
[[providers]]
name = "openai"
type = "openai"
base_url = "https://api.openai.com/v1"
api_key = "${OPENAI_API_KEY}"
models = ["gpt-4", "gpt-3.5-turbo"]
priority = 1

[mcp]
enabled = true
servers = [
    { name = "files", command = "mcp-server-files", args = ["/srv/work"] },
]
"""
PROVIDERS = """
[[providers]]
name = "custom-openai"
type = "openai"
base_url = "https://api.openai.com/v1"  # any compatible server
api_key = "${OPENAI_API_KEY}"           # from the environment
models = ["gpt-4", "gpt-3.5-turbo"]     # what it serves
priority = 1                            # lower goes first

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "https://api.anthropic.com/v1"
api_key = "${ANTHROPIC_API_KEY}"
models = ["claude-3-sonnet", "claude-3-haiku", "claude-3-opus"]
priority = 2

[[providers]]
name = "local-llm"
type = "ollama"
base_url = "http://localhost:11434"     # on this machine
models = ["llama2", "codellama", "mistral"]
priority = 3                           # the last resort
"""
TOOLS = (
    "[mcp]\nenabled = true\nservers = [\n"
    '    { \n        name = "files", \n        command = "mcp-server-files", \n'
    '        args = ["/srv/work", "--read-only"] \n    },\n'
    '    { \n        name = "database", \n        command = "mcp-server-postgres", \n'
    '        args = ["postgresql://someone:pass@localhost/db"] \n    }\n]\n'
)


def test_the_originals_quick_start_loads() -> None:
    config = parse(QUICK_START, ENVIRON)
    (openai,) = config.providers
    assert openai == Provider(
        name="openai",
        type="openai",
        base_url="https://api.openai.com/v1",
        api_key=Secret("sk-one"),
        api_keys=(Secret("sk-one"),),
        models=("gpt-4", "gpt-3.5-turbo"),
        priority=1,
    )
    assert config.mcp.servers == (
        McpServer(name="files", command="mcp-server-files", args=("/srv/work",)),
    )
    assert config.guests == (Guest(name="default"),)
    assert config.server == Server()


def test_the_originals_three_providers_load() -> None:
    config = parse(PROVIDERS, ENVIRON)
    assert [(p.name, p.type, p.priority) for p in config.providers] == [
        ("custom-openai", "openai", 1),
        ("anthropic", "anthropic", 2),
        ("local-llm", "ollama", 3),
    ]
    assert [p.api_key for p in config.providers] == [
        Secret("sk-one"),
        Secret("sk-two"),
        None,
    ]
    assert config.warnings == ()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_originals_inline_tables_over_several_lines_load(end: str) -> None:
    config = parse((PROVIDERS + TOOLS).replace("\n", end), ENVIRON)
    assert [s.name for s in config.mcp.servers] == ["files", "database"]
    assert config.mcp.servers[0].args == ("/srv/work", "--read-only")
    assert len(config.providers) == 3
    assert config.warnings == ()


def test_the_originals_tools_alone_load_though_no_model_is_served() -> None:
    config = parse(TOOLS, {})
    assert len(config.mcp.servers) == 2
    assert any("no model is served" in warning for warning in config.warnings)


# TOML


def test_valid_toml_that_the_lenient_parser_reads_wrongly_is_read_right() -> None:
    text = 'a = """x\ny""" # lost by toml\nb = [","]\nc = [{}, "x"]\n'
    assert toml.loads(text) != tomllib.loads(text)
    assert read_toml(text) == {"a": "x\ny", "b": [","], "c": [{}, "x"]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[server]\nsocket = "x\n', 2),
        (f"[server]\n\napi_key = {MARK}\n", 3),
        (TOOLS + f"[server]\nmode = {MARK}\n", 16),
        (TOOLS + f'[server]\nmode = "1"\nmode = "{MARK}"\n', 17),
        (f'[server]\nsocket = "{MARK}"\n[server]\n', 3),
        (TOOLS + f'[server]\nsocket = "{MARK}"\n[server]\n', 17),
        ('name = "a"; type = "b"', 1),
        ("[server]\nsocket =", 2),
        (TOOLS.replace('"files"', MARK), 4),
    ],
)
def test_a_syntax_error_names_its_line_and_no_value(text: str, line: int) -> None:
    (said,) = problems(text)
    assert said.startswith(f"line {line}: not valid TOML")
    assert MARK not in said
    assert "\n" not in said


def test_a_number_without_end_is_a_syntax_error() -> None:
    assert problems("a = " + "1" * 10_000) == ["not valid TOML: a number is too long"]


def test_deep_nesting_is_a_syntax_error() -> None:
    (said,) = problems("a = " + "[" * 100_000)
    assert "not valid TOML" in said


FRAGMENTS = st.sampled_from(
    [
        "[", "]", "[[", "]]", "{", "}", "=", ",", ".", "\n", "\r\n", '"', "'", '"""',
        "'''", "#", "\\", " ", "\t", "0", "1_", "1979-05-27", "true", "inf", "-", "e",
        "server", "providers", "mcp", "servers", "guests", "name", "socket", "mode",
        "models", '"a"', "'b'", "${A}", "${", "$$", "\x00", "\u00e9", "\\u12", "{\n",
        "[server]\n", "[[providers]]\n", 'name = "a"\n', "api_key = ", "a = [", "x = {",
    ]
)  # fmt: skip


@given(st.text() | st.lists(FRAGMENTS, max_size=30).map("".join))
def test_any_text_gives_a_config_or_our_error(text: str) -> None:
    try:
        config = parse(text, {})
    except ConfigError as e:
        assert e.problems
        assert not any("\n" in problem for problem in e.problems)
    else:
        assert config.guests


@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.integers(0, 400))
def test_a_damaged_file_gives_a_config_or_our_error(piece: str, at: int) -> None:
    text = PROVIDERS + TOOLS
    at = at * len(text) // 400
    try:
        parse(text[:at] + piece + text[at:], ENVIRON)
    except ConfigError as e:
        assert e.problems


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=True)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126))
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "a", "command"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS: dict[str, type[Section]] = {
    "server": Server,
    "providers": Provider,
    "mcp": Mcp,
    "guests": Guest,
    "audit": Audit,
}


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A file with the right keys and any values."""
    root: dict[str, Any] = {}
    for name, kind in KINDS.items():
        keys = [f.name for f in msgspec.structs.fields(kind)]
        given_ = draw(st.dictionaries(st.sampled_from(keys), VALUES, max_size=4))
        one = name in ("server", "mcp", "audit")
        root[name] = draw(st.just(given_ if one else [given_]) | VALUES)
    return root


def written(value: object) -> str:
    """A value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return msgspec.json.encode(value).decode()
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            pairs = (f"{written(k)} = {written(v)}" for k, v in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case _:
            return str(value)


@given(files())
def test_any_value_of_any_key_gives_a_config_or_our_error(root: dict[str, Any]) -> None:
    text = "\n".join(f"{key} = {written(value)}" for key, value in root.items())
    assert set(read_toml(text)) == set(root)
    try:
        parse(text, {})
    except ConfigError as e:
        assert e.problems


# Mistakes


def test_every_mistake_is_told_at_once_by_its_key_path() -> None:
    said = problems(
        """
        [server]
        log_levle = "info"
        log_level = "inof"
        mode = 600
        workers = 2
        drain = -1
        max_request_size = "32 parsecs"
        [[providers]]
        name = "a"
        type = "opnai"
        modles = ["x"]
        models = ["x", 1]
        api_key = 5
        [[providers]]
        name = "a"
        type = "gemni"
        priority = "first"
        base_url = "ftp://example.com"
        timeouts = { idle = "long", totl = 1, connect = 0 }
        headers = { "x y" = "a", Host = "b" }
        [[guests]]
        name = "coder"
        allow = ["hosted-tool"]
        [tools]
        [provider]
        """
    )
    assert said == [
        "tools: unknown table",
        "provider: unknown table; did you mean 'providers'?",
        "server.log_levle: unknown key; did you mean 'log_level'?",
        'server.mode: expected permissions in octal, such as "0600" or 0o600',
        "server.log_level: expected one of debug, info, warn, error; "
        "did you mean 'info'?",
        'server.max_request_size: expected bytes, such as 1048576 or "32MiB"',
        "server.drain: must be >= 0.0",
        "server.workers: this version serves with one process: use 1",
        "providers[0].modles: unknown key; did you mean 'models'?",
        "providers[0].type: expected one of openai, anthropic, gemini, azure, ollama, "
        "demo; did you mean 'openai'?",
        "providers[0].api_key: expected a string, got an integer",
        "providers[0].models[1]: expected a string, got an integer",
        "providers[1].type: expected one of openai, anthropic, gemini, azure, ollama, "
        "demo; did you mean 'gemini'?",
        "providers[1].base_url: must start with http://, https:// or http+unix://",
        "providers[1].priority: expected an integer, got a string",
        "providers[1].timeouts.totl: unknown key; did you mean 'total'?",
        "providers[1].timeouts.connect: must be > 0.0",
        "providers[1].timeouts.idle: expected a number of seconds",
        "providers[1].headers: 'x y' is not a header name",
        "providers[1].headers.Host: cannot be set",
        "providers[1].name: the same as providers[0].name",
        "guests[0].allow[0]: expected one of hosted-tools, remote-urls, server-state, "
        "files; did you mean 'hosted-tools'?",
        "guests[0].socket: missing; every guest but default has one",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server = 1", "server: expected a table, got an integer"),
        ("providers = 1979-05-27", "providers: expected an array of tables, got a"),
        ("[providers]", "got a table: write [[providers]]"),
        ("providers = [1]", "providers[0]: expected a table, got an integer"),
        ("[[providers]]", "providers[0].name: missing"),
        ("[mcp]\nenabled = 1", "mcp.enabled: expected a boolean, got an integer"),
        ("[mcp]\nservers = [{ name = 'a' }]", "give it a command or a url"),
        (f"{SERVER}, tools = {{ alow = ['x'] }} }}]", "did you mean 'allow'?"),
        (f"{SERVER}, tools = {{ deny = [1] }} }}]", "tools.deny[0]: expected a string"),
        (f"{SERVER}, headers = {{ a = 'b' }} }}]", "with a command takes none"),
        (
            "[mcp]\nservers = [{ name = 'a', url = 'http://x', args = ['b'] }]",
            "mcp.servers[0].args: a server with a url takes none",
        ),
        ("[mcp]\nservers = [{ name = 'a__b', command = 'c' }]", "must not hold '__'"),
        (
            f"{SERVER}, timeout = 700 }}]",
            "servers[0].timeout: is more than timeout_cap",
        ),
        (f"{SERVER}, protocol = 'modren' }}]", "did you mean 'modern'?"),
        (
            f"{SERVER}, rules = [{{ argument = '/a' }}] }}]",
            "rules[0]: argument: the rule",
        ),
        (f"{SERVER}, rules = [{{ equals = 1 }}] }}]", "rules[0].argument: missing"),
        (
            f"{SERVER}, rules = [{{ argument = '/a', matches = '(?=a)' }}] }}]",
            "mcp.servers[0].rules[0]: matches: not a regular expression",
        ),
        (
            "[[guests]]\nname = 'default'\n"
            "rules = [{ argument = 'a', equals = 1979-05-27 }]",
            "guests[0].rules[0].equals: expected a string",
        ),
        (
            "[[guests]]\nname = 'default'\nrules = [{ argument = 'a', equals = 1 }]",
            "guests[0].rules[0]: argument: expected a JSON pointer",
        ),
        ("[audit]\nsync = 'always'", "audit.sync: expected one of each, never"),
        ("[server]\nsocket = ''", "server.socket: must not be empty"),
        ('[server]\nsocket = "a\\u0000"', "server.socket: a path cannot hold a NUL"),
        ("[server]\nsocket = '${'", "server.socket: '${' does not start a"),
        ("[server]\ngroup = '${G}'", "server.group: the variable G is not set"),
        ("[server]\nmax_connections = 9999999", "must be <= 1000000"),
        (
            "[[providers]]\nname = 'a'\ntype = 'demo'\npriority = 99999999999999999999",
            "providers[0].priority: must be <= 1000000",
        ),
        ("[server]\ndrain = nan", "server.drain: must be >= 0.0"),
        ("[server]\nmode = '0888'", "server.mode: expected permissions in octal"),
        ("[[guests]]\nname = 'default'\nsocket = '/x'", "guests[0].socket: the guest"),
        (
            "[[guests]]\nname = 'a'\nsocket = '/x/../y'\n"
            "[[guests]]\nname = 'b'\nsocket = '/y'",
            "guests[1].socket: the same as guests[0].socket",
        ),
        (
            "[[guests]]\nname = 'a'\nsocket = 'modelplex.socket'",
            "guests[0].socket: the same as server.socket",
        ),
        (
            "[server]\ncontrol = '/run/g/in/control'\n"
            "[[guests]]\nname = 'a'\nsocket = '/run/g/a.sock'",
            "server.control: lies in the directory of guests[0].socket",
        ),
        ("[server]\ncontrol = 'c'", "server.control: lies in the directory of server"),
    ],
)
def test_a_mistake_says_what_is_expected(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))


@pytest.mark.parametrize("key", ["limits", "require_isolation"])
def test_a_guests_limit_that_would_not_be_kept_is_refused(key: str) -> None:
    said = problems(f"[[guests]]\nname = 'default'\n{key} = {{}}")
    assert said == [f"guests[0].{key}: not supported by this version"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("type = 'openai'\nname = 'q r'", "name"),
        ("type = 'openai'\napi_key = 'a'\napi_keys = ['b']", "not both"),
        ("type = 'openai'\napi_keys = ['']", "api_keys[0]: must not be empty"),
        ("type = 'openai'\napi_key = 'a\\nb'", "cannot be sent in a header"),
        ("type = 'openai'\napi = 'response'", "did you mean 'responses'?"),
        ("type = 'gemini'\napi = 'chat'", 'only type = "openai" or "azure" takes it'),
        ("type = 'openai'\napi_version = 'v'", 'only type = "azure" takes it'),
        (f"type = 'openai'\n{ENTRA}", 'entra: only type = "azure" takes it'),
        ("type = 'azure'\napi_key = 'a'", "base_url: missing: the URL of your"),
        (f"{AZURE[:-1]}/openai/deployments/d'", "must end before /deployments"),
        (f"{AZURE}\napi_key = 'a'\n{ENTRA}", "entra: give it or api_key, not both"),
        (f"{AZURE}\napi_version = '2024/10'", "expected one such as 2024-10-21"),
        (
            f"{AZURE[:-1]}/?api-version=v1'\napi_version = '2024-10-21'",
            "api_version: give it or that in base_url, not both",
        ),
        (
            f"{AZURE}\nentra = {{ tenant_id = 't', client_id = 'c' }}",
            "entra.client_secret: missing",
        ),
        (f"{AZURE}\n{ENTRA[:-5]}'' }}", "entra.client_secret: must not be empty"),
        ("type = 'openai'\ndemo = {}", 'only type = "demo" takes it'),
        ("type = 'openai'\nmax_tokens = 5", 'only type = "anthropic" takes it'),
        ("type = 'demo'\nbase_url = 'http://x'", 'type = "demo" takes none'),
        ("type = 'demo'\nweight = 0", "weight: must be >= 1"),
        ("type = 'demo'\nmodels = { '' = 'x' }", "an alias must not be empty"),
        ("type = 'demo'\nmodels = { a = 1 }", "models.a: expected a string"),
        ("type = 'demo'\ndemo = { fail = 'http-5' }", "did you mean 'http-500'?"),
    ],
)
def test_a_provider_that_cannot_be_right_is_refused(body: str, said: str) -> None:
    text = body if "name" in body else f"name = 'p'\n{body}"
    text = text.replace("'a\\nb'", '"a\\nb"')
    assert any(said in problem for problem in problems(f"[[providers]]\n{text}"))


@pytest.mark.parametrize(
    "url",
    [
        "http:///v1",
        "api.openai.com",
        "https://user:pw@host/v1",
        "http://host:99999",
        "http://host:0/",
        "http://[::1/v1",
        "http://h/#x",
        "http://h/ x",
        "http://h\u00e9/",
        "http+unix:///v1",
        "http+unix://%2F/v1",
    ],
)
def test_a_base_url_that_names_no_place_is_refused(url: str) -> None:
    said = problems(f"[[providers]]\nname = 'p'\ntype = 'openai'\nbase_url = '{url}'\n")
    assert len(said) == 1
    assert said[0].startswith("providers[0].base_url: ")
    assert url not in said[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "https://gateway.example/openai/v1?api-version=2024-10-21",
        "http://[::1]:8080/v1",
        "http+unix://%2Frun%2Fvllm.sock/v1",
    ],
)
def test_a_base_url_is_kept_as_written(url: str) -> None:
    assert provider(f"type = 'openai'\nbase_url = '{url}'").base_url == url


# Values


@pytest.mark.parametrize(
    ("kind", "base_url"),
    [
        ("openai", "https://api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
        ("ollama", "http://localhost:11434"),
        ("demo", ""),
    ],
)
def test_the_base_url_defaults_by_type(kind: str, base_url: str) -> None:
    assert provider(f"type = '{kind}'").base_url == base_url


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("1048576", 1 << 20),
        ('"1048576"', 1 << 20),
        ('"32MiB"', 32 << 20),
        ('" 64 kib "', 64 << 10),
        ('"1GB"', 10**9),
        ('"${SIZE:-2MiB}"', 2 << 20),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(written: str, size: int) -> None:
    config = parse(f"[server]\nmax_request_size = {written}", {})
    assert config.server.max_request_size == size


@pytest.mark.parametrize("written", ['"0660"', '"660"', '"0o660"', "0o660", "432"])
def test_a_mode_is_octal(written: str) -> None:
    assert parse(f"[server]\nmode = {written}", {}).server.mode == 0o660


def test_whole_seconds_are_seconds() -> None:
    timeouts = provider(
        "type = 'demo'\ntimeouts = { connect = 1, idle = 2.5 }"
    ).timeouts
    assert timeouts == Timeouts(connect=1.0, idle=2.5)
    assert isinstance(timeouts.connect, float)


def test_models_may_be_aliases() -> None:
    body = "type = 'demo'\nmodels = { fast = 'gpt-4o-mini', \"a/b:c\" = 'x' }"
    assert provider(body).models == {"fast": "gpt-4o-mini", "a/b:c": "x"}


def test_a_demo_provider_takes_its_script() -> None:
    demo = provider("type = 'demo'\ndemo = { fail = 'http-429', delay = 0.1 }").demo
    assert demo == Demo(fail="http-429", delay=0.1)


def test_a_resource_of_azure_takes_a_key_or_a_principal() -> None:
    keyed = provider(f"{AZURE}\napi_key = 'k'\napi_version = '2024-10-21'")
    assert keyed.base_url == "https://r.example"
    assert keyed.api_version == "2024-10-21" and keyed.entra is None
    assert [key.reveal() for key in keyed.api_keys] == ["k"]
    entra = provider(f"{AZURE}\n{ENTRA}").entra
    assert entra == Entra(tenant_id="t", client_id="c", client_secret=Secret("s"))
    assert entra.scope == "https://cognitiveservices.azure.com/.default"
    assert entra.authority == "https://login.microsoftonline.com"


def test_a_resource_of_azure_that_nobody_may_ask_is_a_warning() -> None:
    config = parse(f"[[providers]]\nname = 'p'\n{AZURE}", {})
    assert config.warnings == (
        "providers[0]: no api_key and no entra: Azure wants one",
    )
    for way in ("api_key = 'k'", "headers = { x = 'y' }", ENTRA):
        assert parse(f"[[providers]]\nname = 'p'\n{AZURE}\n{way}", {}).warnings == ()


def test_a_principal_without_its_variable_disables_its_provider() -> None:
    unset = ENTRA.replace("'s'", "'${ENTRA_SECRET}'")
    config = parse(f"[[providers]]\nname = 'p'\n{AZURE}\n{unset}", {})
    [disabled] = config.disabled
    assert disabled.reason == "ENTRA_SECRET is not set (entra.client_secret)"


def test_a_tool_server_takes_its_rules() -> None:
    text = """
        [[mcp.servers]]
        name = "a"
        command = "b"
        tools = { ask = ["write_*"], read = ["read_*"], trusted = true }
        rules = [
            { argument = "/n", one_of = [1, "a", true, 2.5] },
            { argument = "/p", value = ["${A}", "b"] },
        ]
        """
    [server] = parse(text, {"A": "x"}).mcp.servers
    one, pinned = server.rules
    assert [type(value) for value in one.one_of] == [int, str, bool, float]
    assert pinned.value == ("x", "b")
    assert server.tools == ServerTools(ask=("write_*",), read=("read_*",), trusted=True)
    assert server.limits == ServerLimits() and server.restarts == Restarts()


def test_guests_are_read_and_the_main_socket_is_served_only_if_listed() -> None:
    config = parse(
        "[[guests]]\nname = 'coder'\nsocket = '/run/c.sock'\nmode = '0660'\n"
        "models = ['gpt-*']\nallow = ['files', 'hosted-tools']\n",
        {},
    )
    assert config.guests == (
        Guest(
            name="coder",
            socket="/run/c.sock",
            mode=0o660,
            models=("gpt-*",),
            allow=("files", "hosted-tools"),
        ),
    )


# The environment and secrets


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "one"),
        ("<${A}-${B_2}>", "<one-two>"),
        ("${NO:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("x${NO:-}y", "xy"),
        ("${A:-fallback}", "one"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A $ 5$", "$A $ 5$"),
        ("${NESTED}", "${A}"),
    ],
)
def test_variables_are_replaced_in_any_string(written: str, value: str) -> None:
    environ = {"A": "one", "B_2": "two", "EMPTY": "", "NESTED": "${A}"}
    body = f"type = 'demo'\nmodels = ['{written}']"
    assert provider(body, environ).models == (value,)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_text_with_its_dollars_doubled_is_itself(text: str) -> None:
    doubled = msgspec.json.encode(text.replace("$", "$$")).decode()
    assert provider(f"type = 'demo'\nmodels = [{doubled}]").models == (text,)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}])
def test_a_provider_without_its_variable_is_disabled_with_one_warning(
    environ: dict[str, str],
) -> None:
    text = PROVIDERS.replace("${ANTHROPIC_API_KEY}", "x")
    config = parse(text, environ)
    assert [p.name for p in config.providers] == ["anthropic", "local-llm"]
    assert [(d.name, d.reason) for d in config.disabled] == [
        ("custom-openai", "OPENAI_API_KEY is not set (api_key)")
    ]
    assert config.warnings == (
        "providers[0]: custom-openai is disabled: OPENAI_API_KEY is not set (api_key)",
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, environ, strict=True)
    assert caught.value.problems == [
        "providers.custom-openai: OPENAI_API_KEY is not set (api_key)"
    ]


def test_a_disabled_provider_still_has_its_mistakes_told() -> None:
    said = problems(
        "[[providers]]\nname = 'p'\ntype = 'openai'\napi_key = '${NO}'\nweight = 0"
    )
    assert said == ["providers[0].weight: must be >= 1"]


def test_a_provider_whose_very_name_is_unset_is_a_mistake() -> None:
    said = problems("[[providers]]\nname = '${NO}'\ntype = 'demo'")
    assert said == ["providers[0].name: the variable NO is not set"]


def test_a_tool_server_without_its_variable_is_left_out() -> None:
    config = parse(
        "[mcp]\nservers = [{ name = 'a', command = 'b', env = { T = '${NO}' } }]", {}
    )
    assert config.mcp.servers == ()
    assert "mcp.servers[0]: disabled: NO is not set (env.T)" in config.warnings


def test_every_source_of_keys_ends_in_one_pool(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    pool = provider("type = 'openai'\napi_keys = ['${A}', 'b']", {"A": "a"})
    from_file = provider(
        "type = 'openai'\napi_key_file = '${DIR}/key'", {"DIR": str(tmp_path)}
    )
    assert pool.api_keys == (Secret("a"), Secret("b"))
    assert pool.api_key == Secret("a")
    assert from_file.api_keys == (Secret("sk-file"),)
    assert from_file.api_key == Secret("sk-file")
    assert provider("type = 'openai'\napi_key = ''").api_key is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a\nb", "cannot be sent in a header"),
        (b"x" * 100_000, "is larger than"),
    ],
)
def test_a_key_file_that_holds_no_key_is_told_without_its_name(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / MARK
    if content is not None:
        file.write_bytes(content)
    (problem,) = problems(
        f"[[providers]]\nname = 'p'\ntype = 'openai'\napi_key_file = '{file}'"
    )
    assert problem.startswith("providers[0].api_key_file: ")
    assert said in problem
    assert MARK not in problem  # it may be the key, put at the wrong place


def test_a_vendor_that_wants_a_key_and_has_none_is_a_warning() -> None:
    config = parse("[[providers]]\nname = 'p'\ntype = 'anthropic'", {})
    assert config.warnings == (
        "providers[0]: no api_key, and https://api.anthropic.com/v1 wants one",
    )
    local = "[[providers]]\nname = 'p'\ntype = 'openai'\nbase_url = 'http://x'"
    assert parse(local, {}).warnings == ()


def test_no_secret_is_in_the_repr_of_a_config() -> None:
    config = parse(
        f"""
        [[providers]]
        name = "p"
        type = "openai"
        api_keys = ["{MARK}", "${{KEY}}"]
        headers = {{ x-key = "{MARK}" }}
        base_url = "https://host/v1?key={MARK}"
        [[providers]]
        name = "a"
        type = "azure"
        base_url = "https://host/openai?key={MARK}"
        entra = {{ tenant_id = "t", client_id = "c", client_secret = "{MARK}" }}
        [mcp]
        servers = [
            {{
                name = "a", command = "b", args = ["{MARK}"], env = {{ T = "{MARK}" }}
            }},
            {{ name = "r", url = "https://h/?t={MARK}", headers = {{ A = "{MARK}" }} }},
        ]
        """,
        {"KEY": MARK},
    )
    assert MARK not in repr(config)
    assert MARK not in repr(config.providers[1].entra)
    assert config.providers[0].headers["x-key"].reveal() == MARK
    assert config.mcp.servers[0].env["T"].reveal() == MARK


TABLES: dict[str, type[Section]] = {**KINDS, "mcp.servers": McpServer}
FIELDS = [
    (table, f.name)
    for table, kind in TABLES.items()
    for f in msgspec.structs.fields(kind)
]


@pytest.mark.parametrize(("table", "key"), FIELDS)
@pytest.mark.parametrize(
    "value", [f"'{MARK}'", f"['{MARK}', 1]", f"{{ a = '{MARK}', b = 1 }}", "'${MARK}'"]
)
def test_no_problem_or_warning_holds_a_value(table: str, key: str, value: str) -> None:
    text = {
        "server": f"[server]\n{key} = {value}",
        "mcp": f"[mcp]\n{key} = {value}",
        "mcp.servers": f"[mcp]\nservers = [{{ {key} = {value} }}]",
    }.get(table, f"[[{table}]]\n{key} = {value}")
    try:
        config = parse(text, {"MARK": f"\u00fc{MARK}"})
    except ConfigError as e:
        assert MARK not in str(e)
    else:
        assert not any(MARK in warning for warning in config.warnings)


# Files


def test_a_missing_file_names_the_commands_that_help(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", {})
    (said,) = caught.value.problems
    assert "`modelplex init`" in said
    assert "`modelplex demo`" in said
    assert "\n" not in said


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "c.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"c\.toml: is not UTF-8 text"):
        load(binary, {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("mode", "key", "warned"),
    [
        (0o644, "sk-literal", True),
        (0o640, "sk-literal", True),
        (0o600, "sk-literal", False),
        (0o644, "${KEY}", False),
    ],
)
def test_a_key_in_a_file_that_others_may_read_is_a_warning(
    tmp_path: Path, mode: int, key: str, warned: bool
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"[[providers]]\nname='p'\ntype='openai'\napi_key='{key}'\n")
    file.chmod(mode)
    config = load(file, {"KEY": "x"})
    assert [("chmod 600" in w) for w in config.warnings] == [True] * warned
    assert not any("sk-literal" in w for w in config.warnings)


def test_the_example_loads_cleanly_and_shows_the_defaults() -> None:
    config = load(ROOT / "etc" / "modelplex.toml", ENVIRON, strict=True)
    assert config.warnings == ()
    assert config.server == Server()
    assert config.mcp == Mcp()
    assert config.audit == Audit()
    assert config.guests == Config().guests
    openai, anthropic, gemini, _, demo = config.providers
    kept = {"name", "type", "api_key", "api_keys", "models", "base_url", "priority"}
    for one in (openai, anthropic, gemini, demo):
        blank = Provider(name="x", type=one.type)
        for f in msgspec.structs.fields(Provider):
            if f.name not in kept:
                assert getattr(one, f.name) == getattr(blank, f.name)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("server", Server),
        ("providers", Provider),
        ("guests", Guest),
        ("mcp", Mcp),
        ("timeouts", Timeouts),
        ("demo", Demo),
        ("entra", Entra),
        ("servers", McpServer),
        ("audit", Audit),
        ("tools", ServerTools),
        ("rules", Argument),
        ("limits", ServerLimits),
        ("restarts", Restarts),
        ("oauth", Oauth),
    ],
)
def test_the_example_shows_every_key(table: str, kind: type[Section]) -> None:
    text = (ROOT / "etc" / "modelplex.toml").read_text()
    part = text
    if table in KINDS:
        part = "".join(
            re.findall(rf"^#?\[\[?{table}\].*?(?=^#?\[|\Z)", text, re.M | re.S)
        )
    for f in msgspec.structs.fields(kind):
        assert re.search(rf"^#?[^#\n]*\b{f.name} = ", part, re.M), f.name


def test_the_settings_that_the_example_turns_off_load_when_turned_on() -> None:
    text = (ROOT / "etc" / "modelplex.toml").read_text()
    off = re.findall(r"^#([a-z_]+ = [^\n]*[^\[\n])$", text, re.M)
    assert len(off) > 10
    for line in off:
        tomllib.loads(line)
    guest = re.search(r"^#\[\[guests\]\]\n(?:#.*\n)+", text, re.M)
    azure, vllm = re.findall(r"^#\[\[providers\]\]\n(?:#.*\n)+", text, re.M)
    servers = re.search(r"^#servers = \[\n(?:#.*\n)+?#\]\n", text, re.M)
    assert guest and servers
    on = "".join(["[mcp]\n", servers[0], azure, vllm, guest[0]])
    environ = {"TOOLS_TOKEN": "t", "AZURE_OPENAI_API_KEY": "k"}
    config = parse(re.sub("^#", "", on, flags=re.M), environ)
    assert [g.name for g in config.guests] == ["coder"]
    assert [p.name for p in config.providers] == ["azure", "vllm"]
    assert [s.name for s in config.mcp.servers] == ["filesystem", "remote"]
    tables = "".join(re.findall(r"^#\[\[mcp\.servers\]\].*\n(?:#.*\n)+", text, re.M))
    config = parse(re.sub("^#", "", tables, flags=re.M), environ)
    files, web = config.mcp.servers
    assert (files.name, len(files.rules), web.name) == ("files", 7, "web")
    assert web.oauth is not None and web.rules[0].hosts == ("*.example.com",)


def test_the_page_about_configuration_is_what_the_types_say() -> None:
    page = (ROOT / "docs" / "configuration.rst").read_text()
    assert page == configdoc.render() + "\n", "run python -m modelplex.configdoc"


def test_the_page_has_every_key() -> None:
    page = configdoc.render()
    kinds: list[type[Section]] = [*TABLES.values(), Timeouts, Entra, Demo]
    kinds += [Argument, Audit, Oauth, Restarts, ServerLimits, ServerTools]
    for kind in kinds:
        for f in msgspec.structs.fields(kind):
            assert f"* - ``{f.name}``" in page


ISSUER = 'issuer = "https://login.example.com"'


@pytest.mark.parametrize(
    ("url", "issuer", "usable"),
    [
        ("https://mcp.example.com/mcp", "", False),
        ("https://localhost.example.com/mcp", "", False),
        ("https://mcp.example.com/mcp", ISSUER, True),
        ("http://127.0.0.1:9/mcp", "", True),
        ("http://[::1]:9/mcp", "", True),
        ("http://localhost:9/mcp", "", True),
        ("http+unix://%2Frun%2Fx.sock/mcp", "", True),
    ],
)
def test_only_a_server_of_this_machine_may_name_who_gets_the_secret(
    url: str, issuer: str, usable: bool
) -> None:
    text = f'''
[[mcp.servers]]
name = "web"
url = "{url}"
[mcp.servers.oauth]
client_id = "c"
client_secret = "s-e-c-r-e-t"
{issuer}
'''
    if usable:
        [server] = parse(text, {}).mcp.servers
        assert server.oauth is not None
        return
    with pytest.raises(ConfigError) as caught:
        parse(text, {})
    assert "mcp.servers[0].oauth.issuer" in str(caught.value)
    assert "the only authority that may have the secret" in str(caught.value)
