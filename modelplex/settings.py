"""
What can be configured: one frozen type a table, one documented field a key.

These types are the only list of keys there is. `modelplex.configcheck` reads a file
into them and `modelplex.configdoc` renders ``docs/configuration.rst`` from them, so a
key that is not here does not exist, and its description here is its documentation.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from modelplex.secret import Secret

DAY = 86_400.0  # seconds; no wait in this program is longer
TERABYTE = 1 << 40

Seconds = Annotated[float, Meta(gt=0, le=DAY, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1024, le=TERABYTE, extra={"unit": "bytes"})]
Mode = Annotated[int, Meta(extra={"unit": "mode"})]
Name = Annotated[str, Meta(extra={"unit": "name"})]
Path = Annotated[str, Meta(extra={"unit": "path"})]
Url = Annotated[str, Meta(extra={"unit": "url"})]
Text = Annotated[str, Meta(extra={"unit": "text"})]
Key = Annotated[Secret, Meta(extra={"unit": "key"})]


def says(description: str) -> Meta:
    """The description of a field, in reStructuredText."""
    return Meta(description=description)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the configuration file."""

    #: Keys of the design that a later version will read. They are refused, not
    #: ignored: a limit that is written down and not kept would fail open.
    later: ClassVar[frozenset[str]] = frozenset()


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


class Provider(Section, frozen=True, kw_only=True):
    """
    An upstream that serves models.

    :ivar api_keys: after loading, every key there is, whichever of ``api_key``,
        ``api_keys`` and ``api_key_file`` it came from; ``api_key`` is the first.
    :ivar base_url: after loading never empty, but for the demo provider.
    """

    later: ClassVar[frozenset[str]] = frozenset({"api", "api_version"})

    name: Annotated[
        Name,
        says("Unique. A guest may ask for ``name/model`` to get this provider's."),
    ]
    type: Annotated[
        Literal["openai", "anthropic", "ollama", "demo"],
        Meta(extra={"later": ("gemini", "azure")}),
        says("The API it speaks. ``openai`` is any server compatible with it."),
    ]
    base_url: Annotated[
        Url,
        says(
            "With or without its version segment. ``http``, ``https``, or "
            "``http+unix://%2Frun%2Fserver.sock/path`` for a Unix socket. A query is "
            "kept. Default: the vendor's own, or ``http://localhost:11434`` for "
            "``ollama``; ``demo`` has none."
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
    models: Annotated[
        tuple[Text, ...] | dict[str, Text],
        says(
            'Names and globs (``["gpt-4o", "gpt-*"]``), or a table of aliases '
            '(``{ fast = "gpt-4o-mini" }``): a guest asks for ``fast``, the provider '
            "is asked for ``gpt-4o-mini``."
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
            "Ask an ``openai`` server to report usage at the end of a stream. Turn it "
            "off for a server that refuses ``stream_options``."
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


class McpServer(Section, frozen=True, kw_only=True):
    """A tool server: a ``command`` to run, or the ``url`` of a remote one."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"tools", "rules", "timeout", "restart", "restarts", "limits"}
    )

    name: Annotated[Name, says("Unique.")]
    command: Annotated[Text | None, says("The program.")] = None
    args: Annotated[tuple[str, ...], says("Its arguments.")] = ()
    env: Annotated[
        dict[str, Secret],
        says("Its environment, and nothing else of ours. Kept as secrets."),
    ] = msgspec.field(default_factory=dict)
    cwd: Annotated[Path | None, says("Its working directory.")] = None
    url: Annotated[Url | None, says("A remote server, instead of ``command``.")] = None
    headers: Annotated[
        dict[str, Key], says("Headers for ``url``. Their values are kept as secrets.")
    ] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        # arguments and URLs of tool servers carry passwords
        return f"McpServer(name={self.name!r})"


class Mcp(Section, frozen=True, kw_only=True):
    """Tool servers. They are checked; this version does not serve tools yet."""

    enabled: Annotated[bool, says("Serve the tools of ``servers``.")] = True
    servers: Annotated[tuple[McpServer, ...], says("See below.")] = ()


class Guest(Section, frozen=True, kw_only=True):
    """
    Who may connect, and what they may use: one socket with its policy.

    Without any, the main socket is the guest ``default`` with every model. Once there
    is one, only the guests that are listed are served; ``default`` is the main socket.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {"limits", "tools", "require_isolation", "rules"}
    )

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
    guests: tuple[Guest, ...] = (Guest(name="default"),)
    disabled: tuple[Disabled, ...] = ()
    warnings: tuple[str, ...] = ()
