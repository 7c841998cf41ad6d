"""What can be configured about tools: servers, calls, and the record of them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from modelplex.secret import Secret
from modelplex.settings_types import (
    Bytes,
    Key,
    Name,
    Path,
    Seconds,
    Section,
    Text,
    Url,
    says,
)

Scalar: TypeAlias = str | int | float | bool
Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Several = Annotated[int, Meta(ge=1, le=1_000_000)]


class Argument(Section, frozen=True, kw_only=True):
    """
    What one argument of some tools must be like; a call that is otherwise is refused.

    An argument is named by a JSON pointer: ``/path``, ``/edits/0/file``, and
    ``/paths/*`` for every item. All that a rule says must hold, and so must every
    rule. An argument that is there but cannot be what the rule is about is refused:
    a list where a path is expected, a number where a pattern is. A scalar is a string,
    a number or a boolean.
    """

    argument: Annotated[Text, says("Which one, as a JSON pointer.")]
    tools: Annotated[
        tuple[Text, ...], says("Globs of the server's own names of tools.")
    ] = ("*",)
    required: Annotated[
        bool,
        says(
            "Refuse a call without the argument. If not, the rule holds once it is "
            "given and is not null."
        ),
    ] = True
    equals: Annotated[Scalar | None, says("It is this.")] = None
    one_of: Annotated[tuple[Scalar, ...], says("It is one of these.")] = ()
    matches: Annotated[
        Text | None,
        says(
            "All of the text matches this regular expression, in the syntax of Rust's "
            "``regex``: without look-around and references, and so in linear time."
        ),
    ] = None
    inside: Annotated[
        tuple[Path, ...],
        says(
            "It is a path inside one of these folders, links followed. A relative one "
            "starts at the server's ``cwd``, and is refused without. Whatever servers "
            "might read otherwise is refused: ``~``, ``%2e``, ``\\``, URLs."
        ),
    ] = ()
    hosts: Annotated[
        tuple[Text, ...],
        says(
            "It is a URL of one of these hosts: ``example.com``, "
            "``*.example.com`` for any below it, ``example.com:8443`` for a port that "
            "is not the scheme's own, ``[::1]``."
        ),
    ] = ()
    schemes: Annotated[tuple[Text, ...], says("Schemes that ``hosts`` takes.")] = (
        "http",
        "https",
    )
    min_length: Annotated[Count | None, says("Least characters, items or members.")] = (
        None
    )
    max_length: Annotated[Count | None, says("Most characters, items or members.")] = (
        None
    )
    minimum: Annotated[float | None, says("The least number.")] = None
    maximum: Annotated[float | None, says("The largest number.")] = None
    max_size: Annotated[Count | None, says("Most bytes of it as JSON.")] = None
    value: Annotated[
        Scalar | tuple[Scalar, ...] | None,
        says(
            "Pinned: it is always this, the guest does not see the argument, and a "
            "call that gives it is refused."
        ),
    ] = None
    hidden: Annotated[
        bool,
        says("The guest does not see the argument, and a call with it is refused."),
    ] = False


class ServerTools(Section, frozen=True, kw_only=True):
    """
    Which tools of a server guests may use: globs over its own names of them.

    ``deny`` goes before ``ask``, and ``ask`` before ``allow``; what a guest's own
    table says can only restrict further. A tool that is denied does not exist.
    """

    allow: Annotated[tuple[Text, ...], says("Tools that there are.")] = ("*",)
    deny: Annotated[tuple[Text, ...], says("Tools that there are not.")] = ()
    ask: Annotated[
        tuple[Text, ...], says("Tools whose calls wait until you approve them.")
    ] = ()
    read: Annotated[
        tuple[Text, ...], says("Tools that only read, for ``read_only``.")
    ] = ()
    read_only: Annotated[bool, says("Only the tools that only read.")] = False
    trusted: Annotated[
        bool,
        says(
            "Believe the server when it marks a tool with ``readOnlyHint``; without, "
            "only ``read`` counts."
        ),
    ] = False


class ServerLimits(Section, frozen=True, kw_only=True):
    """How much a server may be used, and use; the last four are for a ``command``."""

    concurrency: Annotated[Several, says("Calls at a time; more wait.")] = 16
    calls_per_minute: Annotated[
        Several | None,
        says("Calls of each tool, all guests together. Default: any number."),
    ] = None
    result_size: Annotated[
        Bytes, says("Largest result; of a larger one a part is given, and says so.")
    ] = 4 << 20
    memory: Annotated[Bytes | None, says("Memory for the data of each process.")] = None
    cpu: Annotated[Seconds | None, says("Processor time of each process.")] = None
    files: Annotated[Several | None, says("Files that each has open.")] = None
    processes: Annotated[
        Several | None, says("Processes of the whole user that modelplex runs as.")
    ] = None


class Restarts(Section, frozen=True, kw_only=True):
    """When a ``command`` that ended is started again."""

    first: Annotated[
        Seconds, says("Before the first time; it doubles with each further one.")
    ] = 0.5
    most: Annotated[Seconds, says("Never longer than this.")] = 30.0
    times: Annotated[
        Several, says("Given up after so many ends in a row, until you restart it.")
    ] = 5
    stable: Annotated[
        Seconds, says("It ran so long: the next end is the first one again.")
    ] = 60.0


class Oauth(Section, frozen=True, kw_only=True):
    """Client credentials (OAuth 2.1) for a remote server that wants a token."""

    client_id: Annotated[Text, says("The client's id.")]
    client_secret: Annotated[Key, says("Its secret, best as ``${VARIABLE}``.")]
    scope: Annotated[
        str, says("Scopes to ask for when the server does not say, with spaces.")
    ] = ""
    issuer: Annotated[
        Url | None,
        says(
            "The only authority that may have them. Required, but for a server on this "
            "machine, whose default is what it names."
        ),
    ] = None


class McpServer(Section, frozen=True, kw_only=True):
    """A tool server: a ``command`` to run, or the ``url`` of a remote one."""

    name: Annotated[
        Name, says("Unique. Guests see its tools as ``name__tool``; no ``__`` in it.")
    ]
    command: Annotated[Text | None, says("The program.")] = None
    args: Annotated[tuple[str, ...], says("Its arguments.")] = ()
    env: Annotated[
        dict[str, Secret],
        says(
            "Its environment, beside ``HOME``, ``PATH``, ``USER`` and the like; "
            "nothing else of ours. Kept as secrets."
        ),
    ] = msgspec.field(default_factory=dict)
    cwd: Annotated[Path | None, says("Its working directory.")] = None
    wrapper: Annotated[
        tuple[Text, ...],
        says("A command that runs ``command``, such as ``bwrap`` with its arguments."),
    ] = ()
    url: Annotated[Url | None, says("A remote server, instead of ``command``.")] = None
    headers: Annotated[
        dict[str, Key], says("Headers for ``url``. Their values are kept as secrets.")
    ] = msgspec.field(default_factory=dict)
    plain_http: Annotated[
        bool, says("An ``http`` URL of another machine is meant so.")
    ] = False
    oauth: Annotated[
        Oauth | None, says("For a ``url`` that wants a token. See below.")
    ] = None
    protocol: Annotated[
        Literal["auto", "legacy", "modern"],
        says(
            "Which era of the protocol it speaks: with sessions, or without (from "
            "2026-07-28). ``auto`` finds out."
        ),
    ] = "auto"
    tools: Annotated[ServerTools, says("See below.")] = ServerTools()
    rules: Annotated[
        tuple[Argument, ...], says("What arguments must be like. See below.")
    ] = ()
    check_arguments: Annotated[
        bool, says("Hold arguments against the tool's schema before it is called.")
    ] = True
    timeout: Annotated[
        Seconds, says("A call has ended by then; progress starts it anew.")
    ] = 60.0
    timeout_cap: Annotated[
        Seconds, says("A call has ended by then, whatever its progress.")
    ] = 600.0
    restarts: Annotated[Restarts, says("See below.")] = Restarts()
    limits: Annotated[ServerLimits, says("See below.")] = ServerLimits()
    interactive: Annotated[
        bool,
        says(
            "It may ask its caller during a call (sampling, elicitation). Calls of a "
            "server of the older era then go one by one."
        ),
    ] = False
    roots: Annotated[
        tuple[Path, ...], says("Folders that it is told of when it asks for roots.")
    ] = ()
    guest_roots: Annotated[
        bool,
        says(
            "Without ``roots``, ask the guest for its own. Not for a server that takes "
            "roots for what it may touch, as ``server-filesystem`` does."
        ),
    ] = False

    def __repr__(self) -> str:
        # arguments and URLs of tool servers carry passwords
        return f"McpServer(name={self.name!r})"


class Mcp(Section, frozen=True, kw_only=True):
    """Tool servers, and what holds for all of them."""

    enabled: Annotated[bool, says("Serve the tools of ``servers``.")] = True
    servers: Annotated[tuple[McpServer, ...], says("See below.")] = ()
    state: Annotated[
        Path | None,
        says(
            "Folder for what is remembered of servers. Default: one of its own under "
            "``$XDG_STATE_HOME/modelplex``. Never in a directory that a guest gets."
        ),
    ] = None
    pin: Annotated[
        bool,
        says(
            "Keep to the tools that a server had when it was first seen. One that is "
            "new or changed does not exist until ``modelplex tools accept``."
        ),
    ] = True
    hygiene: Annotated[
        Literal["mark", "strip", "off"],
        says(
            "Characters in descriptions and results that a reader does not see "
            "(control, bidirectional, tag and zero-width ones): show them as "
            "``<U+202E>``, take them out, or leave them."
        ),
    ] = "mark"
    approval_timeout: Annotated[
        Seconds, says("A call that nobody approved by then is denied.")
    ] = 300.0
    max_waiting: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)],
        says("Calls that wait for you at a time; a guest may have half of them."),
    ] = 64


class Audit(Section, frozen=True, kw_only=True):
    """The record of every call of a tool and of every decision about one."""

    enabled: Annotated[bool, says("Keep it, when there are tool servers.")] = True
    file: Annotated[
        Path | None, says("Default: ``audit.jsonl`` in the ``state`` of ``[mcp]``.")
    ] = None
    sync: Annotated[
        Literal["each", "never"],
        says(
            "Wait for the disk after each line, so that not even a power cut loses "
            "one, or leave it to the system."
        ),
    ] = "never"
    max_size: Annotated[Bytes, says("A file that is larger is put aside.")] = 64 << 20
    keep: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)],
        says("How many of those to keep; the oldest are deleted."),
    ] = 20
    shown: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)],
        says("Texts in arguments are recorded up to this length, else by a digest."),
    ] = 80
