"""
What can be configured: one frozen type a table, one documented field a key.

These types and those of `modelplex.settings_mcp` are the only list of keys there is.
`modelplex.configcheck` reads a file into them and `modelplex.configdoc` renders
``docs/configuration.rst`` from them, so a key that is not here does not exist, and its
description here is its documentation.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from modelplex.settings_mcp import Argument, Audit, Mcp, McpServer
from modelplex.settings_types import (
    DAY,
    Bytes,
    Key,
    Mode,
    Name,
    Path,
    Seconds,
    Section,
    Text,
    Url,
    says,
)

__all__ = [
    "Argument",
    "Audit",
    "Config",
    "Demo",
    "Disabled",
    "Entra",
    "Guest",
    "Mcp",
    "McpServer",
    "Provider",
    "Section",
    "Server",
    "Timeouts",
]


class Server(Section, frozen=True, kw_only=True):
    """The main socket and what holds for every guest."""

    socket: Annotated[
        Path, says("The main socket. Relative to the working directory.")
    ] = "./modelplex.socket"
    mode: Annotated[Mode, says("Permissions of the sockets, whatever the umask.")] = (
        0o600
    )
    group: Annotated[
        Text | None, says("Group that owns the sockets; give it a ``mode`` of 0660.")
    ] = None
    control: Annotated[
        Path | None,
        says(
            "The operator's own socket. Default: a private directory of its own under "
            "``$XDG_RUNTIME_DIR/modelplex``. Never in a directory that a guest gets."
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warn", "error"], says("The least level logged.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"] | None,
        says("Default: text on a terminal, JSON lines otherwise."),
    ] = None
    max_request_size: Annotated[
        Bytes, says("Largest request body of a guest; more is answered 413.")
    ] = 32 << 20
    max_response_size: Annotated[
        Bytes, says("Largest reply taken from a provider when it is not streamed.")
    ] = 64 << 20
    max_connections: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        says("Connections open at a time, for each socket."),
    ] = 4096
    drain: Annotated[
        Annotated[float, Meta(ge=0, le=DAY, extra={"unit": "seconds"})],
        says(
            "How long running exchanges may finish after SIGTERM before they are cut."
        ),
    ] = 30.0
    keepalive: Annotated[
        Seconds,
        says("A waiting guest gets a comment in its stream this often, so it stays."),
    ] = 15.0
    header_timeout: Annotated[
        Seconds, says("A guest must have sent its request's headers by then.")
    ] = 30.0
    body_timeout: Annotated[
        Seconds, says("A guest must have sent its request's body by then.")
    ] = 120.0
    stall_timeout: Annotated[
        Seconds, says("How long a guest may leave its answer unread before it is cut.")
    ] = 300.0
    workers: Annotated[
        Annotated[int, Meta(ge=1)],
        says("Processes that share the sockets. This version accepts 1 only."),
    ] = 1


class Timeouts(Section, frozen=True, kw_only=True):
    """How long a provider may take. A provider that is late is failed over from."""

    connect: Annotated[Seconds, says("To connect, TLS included.")] = 5.0
    first_byte: Annotated[Seconds, says("From the request to the answer's start.")] = (
        60.0
    )
    idle: Annotated[Seconds, says("Longest silence once the answer has begun.")] = 120.0
    total: Annotated[Seconds, says("The whole exchange.")] = 900.0


class Demo(Section, frozen=True, kw_only=True):
    """How the embedded demo provider behaves; it needs no key and no network."""

    fail: Annotated[
        Literal["", "refuse", "http-500", "http-429", "http-401", "hang", "cut"],
        says(
            "Fail on purpose: refuse the connection, answer with an error status, "
            "never answer, or cut the stream in the middle. Empty: do not."
        ),
    ] = ""
    delay: Annotated[
        Annotated[float, Meta(ge=0, le=DAY, extra={"unit": "seconds"})],
        says("Pause between the pieces of a streamed answer."),
    ] = 0.0


class Entra(Section, frozen=True, kw_only=True):
    """
    A service principal of Microsoft Entra, for an ``azure`` provider without a key.

    A token is fetched with the client credentials grant when the first request needs
    it, and again a few minutes before it ends.
    """

    tenant_id: Annotated[Text, says("The directory (tenant) id.")]
    client_id: Annotated[Text, says("The application (client) id.")]
    client_secret: Annotated[Key, says("Its secret, best as ``${VARIABLE}``.")]
    scope: Annotated[Text, says("What the token is for.")] = (
        "https://cognitiveservices.azure.com/.default"
    )
    authority: Annotated[
        Url, says("Where tokens are given; national clouds have their own.")
    ] = "https://login.microsoftonline.com"


class Provider(Section, frozen=True, kw_only=True):
    """
    An upstream that serves models.

    :ivar api_keys: after loading, every key there is, whichever of ``api_key``,
        ``api_keys`` and ``api_key_file`` it came from; ``api_key`` is the first.
    :ivar base_url: after loading never empty, but for the demo provider.
    """

    name: Annotated[
        Name,
        says("Unique. A guest may ask for ``name/model`` to get this provider's."),
    ]
    type: Annotated[
        Literal["openai", "anthropic", "gemini", "azure", "ollama", "demo"],
        says("The API it speaks. ``openai`` is any server compatible with it."),
    ]
    base_url: Annotated[
        Url,
        says(
            "With or without its version segment. ``http``, ``https``, or "
            "``http+unix://%2Frun%2Fserver.sock/path`` for a Unix socket. A query is "
            "kept. Default: the vendor's own, or ``http://localhost:11434`` for "
            "``ollama``; ``demo`` has none. For ``azure``, which has no default, the "
            "URL of your resource."
        ),
    ] = ""
    api_key: Annotated[Key | None, says("The key, best as ``${VARIABLE}``.")] = None
    api_keys: Annotated[
        tuple[Key, ...], says("A pool of keys, instead of ``api_key``.")
    ] = ()
    api_key_file: Annotated[
        Path | None,
        says(
            "A file that holds the key (systemd credentials, Docker secrets), instead "
            "of ``api_key``. Relative to the working directory. Read at start."
        ),
    ] = None
    api: Annotated[
        Literal["chat", "responses"],
        says(
            "How an ``openai`` or ``azure`` provider is asked for text: with chat "
            "completions, which every such server has, or with the Responses API, "
            "for models that are served only there."
        ),
    ] = "chat"
    api_version: Annotated[
        Text | None,
        says(
            "For ``azure``: the version of its API by deployments, such as "
            "``2024-10-21``. Without it, its v1 API is used."
        ),
    ] = None
    entra: Annotated[
        Entra | None, says("For ``azure``, instead of a key. See below.")
    ] = None
    models: Annotated[
        tuple[Text, ...] | dict[str, Text],
        says(
            'Names and globs (``["gpt-4o", "gpt-*"]``), or a table of aliases '
            '(``{ fast = "gpt-4o-mini" }``): a guest asks for ``fast``, the provider '
            "is asked for ``gpt-4o-mini``. Those of ``azure`` are your deployments."
        ),
    ] = ("*",)
    priority: Annotated[
        Annotated[int, Meta(ge=-1_000_000, le=1_000_000)],
        says("Lower is tried first; equal ones share the load by ``weight``."),
    ] = 1
    weight: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        says("Share of the load among equal ``priority``."),
    ] = 1
    timeouts: Annotated[Timeouts, says("See below.")] = Timeouts()
    stream_usage: Annotated[
        bool,
        says(
            "Ask an ``openai`` or ``azure`` server to report usage at the end of a "
            "stream. Turn it off for a server that refuses ``stream_options``."
        ),
    ] = True
    headers: Annotated[
        dict[str, Key],
        says("Further headers for this provider. Their values are kept as secrets."),
    ] = msgspec.field(default_factory=dict)
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        says(
            "Longest answer asked of an ``anthropic`` provider when a guest gives no "
            "limit; that API demands one. Default: chosen for each request."
        ),
    ] = None
    demo: Annotated[Demo, says('For ``type = "demo"`` only. See below.')] = Demo()

    def __repr__(self) -> str:
        # base_url may carry a key in its query
        return f"Provider(name={self.name!r}, type={self.type!r})"


class Guest(Section, frozen=True, kw_only=True):
    """
    Who may connect, and what they may use: one socket with its policy.

    Without any, the main socket is the guest ``default`` with every model. Once there
    is one, only the guests that are listed are served; ``default`` is the main socket.
    """

    later: ClassVar[frozenset[str]] = frozenset({"limits", "require_isolation"})

    name: Annotated[Name, says("Unique.")]
    socket: Annotated[
        Path | None, says("Its socket. Only ``default``, the main socket, has none.")
    ] = None
    mode: Annotated[Mode | None, says("Default: that of ``[server]``.")] = None
    group: Annotated[Text | None, says("Default: that of ``[server]``.")] = None
    models: Annotated[
        tuple[Text, ...], says("Names and globs of the models it may use and see.")
    ] = ("*",)
    allow: Annotated[
        tuple[Literal["hosted-tools", "remote-urls", "server-state", "files"], ...],
        says(
            "Ways out through a provider that are closed unless named here: tools the "
            "provider runs itself, URLs it fetches, state it keeps, files it stores."
        ),
    ] = ()
    tools: Annotated[
        tuple[Text, ...],
        says(
            "Globs of the tools it may use and see, by the names that it sees: "
            "``server__tool``."
        ),
    ] = ("*",)
    ask: Annotated[
        tuple[Text, ...],
        says("Globs of the tools whose calls wait until you approve them."),
    ] = ()
    read_only: Annotated[
        bool, says("Only tools that their server's ``tools`` classify as reading.")
    ] = False
    rules: Annotated[
        tuple[Argument, ...],
        says(
            "What the arguments of its calls must be like. See *mcp: rules*; here "
            "their ``tools`` are globs over ``server__tool``."
        ),
    ] = ()


class Disabled(msgspec.Struct, frozen=True):
    """A provider that is configured but cannot be used, and why, in one line."""

    name: str
    reason: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """
    A configuration that was read and found right.

    :ivar providers: those that can be used, in the order of the file.
    :ivar guests: never empty; the one without a socket is the main socket's.
    :ivar disabled: those left out because a variable is not set; `check` fails on it.
    :ivar warnings: one line each, for the log at start; tells of `disabled` too.
    """

    server: Server = Server()
    providers: tuple[Provider, ...] = ()
    mcp: Mcp = Mcp()
    audit: Audit = Audit()
    guests: tuple[Guest, ...] = (Guest(name="default"),)
    disabled: tuple[Disabled, ...] = ()
    warnings: tuple[str, ...] = ()
