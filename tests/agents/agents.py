"""How each agent is pointed at a loopback port, and told to work and to keep quiet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from tests.agents.kinds import MODEL
from tests.agents.sandbox import URL

DUMMY = "sk-dummy-of-the-guest"
"""What an agent has for a key: it wants one, and nobody looks at it."""


@frozen
class Agent:
    """
    An agent from npm.

    :ivar command: followed by what it is to do.
    :ivar files: its settings, by path below the home.
    :ivar shell: its tool that runs a command, and the argument that is the command.
    :ivar more: further arguments that the tool wants.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]
    files: Mapping[str, str]
    shell: tuple[str, str]
    more: Mapping[str, Any] = field(factory=dict)

    def over(self, **environ: str) -> Agent:
        """The same with another environment."""
        return evolve(self, environ={**self.environ, **environ})


CLAUDE_CODE = Agent(
    ("claude", "--allowedTools=Bash", "-p"),
    {
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_API_KEY": DUMMY,
        "ANTHROPIC_MODEL": MODEL,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,  # for what it asks on the side
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    },
    {},
    ("Bash", "command"),
    {"description": "Looks around"},
)


def codex(model: str = MODEL, *, built_in: bool = False) -> Agent:
    """
    Codex, which speaks Responses only, and is pointed by its settings only.

    :param model: which tools it offers depends on that; one that it does not know
        gets functions, in HTTP.
    :param built_in: by the provider it has of its own, which asks for a WebSocket.
    """
    settings = f'model = "{model}"\ncheck_for_update_on_startup = false\n'
    if built_in:
        settings += f'openai_base_url = "{URL}/v1"\n'
    else:
        settings += f"""
model_provider = "modelplex"
[model_providers.modelplex]
name = "Modelplex"
base_url = "{URL}/v1"
env_key = "CODEX_API_KEY"
wire_api = "responses"
"""
    return Agent(
        # It is in a sandbox already, and a second one would not start in there.
        (
            *("codex", "exec", "--skip-git-repo-check"),
            "--dangerously-bypass-approvals-and-sandbox",
        ),
        {"CODEX_API_KEY": DUMMY},
        {".codex/config.toml": f"{settings}\n[analytics]\nenabled = false\n"},
        ("exec_command", "cmd"),
    )


GEMINI_CLI = Agent(
    ("gemini", "--approval-mode=yolo", "--skip-trust", "--model", MODEL, "--prompt"),
    {"GOOGLE_GEMINI_BASE_URL": URL, "GEMINI_API_KEY": DUMMY},
    {
        ".gemini/settings.json": json.dumps(
            {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {"enableAutoUpdate": False},
                "privacy": {"usageStatisticsEnabled": False},
                "telemetry": {"enabled": False},
            }
        )
    },
    ("run_shell_command", "command"),
)


def opencode(package: str = "@ai-sdk/openai-compatible", version: str = "v1") -> Agent:
    """
    opencode, which speaks what a package of the AI SDK does; it brings the usual ones.

    :param version: what the package wants at the end of its base URL.
    """
    provider = {
        "npm": package,
        "options": {"baseURL": f"{URL}/{version}", "apiKey": DUMMY},
        "models": {MODEL: {}},
    }
    settings = {
        "provider": {"modelplex": provider},
        "model": f"modelplex/{MODEL}",
        "small_model": f"modelplex/{MODEL}",  # for what it asks on the side
        "autoupdate": False,
        "share": "disabled",
    }
    return Agent(
        ("opencode", "run"),
        {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        {".config/opencode/opencode.json": json.dumps(settings)},
        ("bash", "command"),
        {"description": "Looks around"},
    )


AGENTS = {
    "claude-code": CLAUDE_CODE,
    "codex": codex(),
    "gemini-cli": GEMINI_CLI,
    "opencode": opencode(),
}
