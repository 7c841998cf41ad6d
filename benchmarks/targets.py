"""What is measured: how each target is started, and how it is asked."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from attrs import field, frozen

from benchmarks.client import Address

ROOT = Path(__file__).resolve().parent.parent
PATH = "/v1/chat/completions"

_MODELPLEX = """\
[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{unix}"
api_key = "bench"
models = ["claude-*"]
priority = 1

[[providers]]
name = "ollama"
type = "ollama"
base_url = "{unix}"
models = ["llama*"]
priority = 1

[[providers]]
name = "openai"
type = "openai"
base_url = "{unix}/v1"
api_key = "bench"
models = ["*"]
priority = 2
"""


@frozen
class Upstream:
    """Where the fake upstream listens."""

    path: str
    port: int

    def unix_url(self) -> str:
        """Its socket as an URL with the path percent-encoded in place of a host."""
        return f"http+unix://{quote(self.path, safe='')}"


@frozen
class Target:
    """Something that answers chat completions."""

    name: str
    address: Address
    command: Sequence[str] = ()  # empty: it is the upstream itself
    environment: Mapping[str, str] = field(factory=dict)
    headers: tuple[str, ...] = ()
    translates: bool = True  # speaks more than OpenAI upstream
    patience: float = 30.0  # seconds to the first 200
    versus: str = "direct"  # the target its ratios refer to

    @property
    def is_direct(self) -> bool:
        """Whether nothing lies between the load and the upstream."""
        return not self.command


def _direct(directory: Path, upstream: Upstream, program: str) -> Target:
    return Target("direct", Address(path=upstream.path))


def _direct_tcp(directory: Path, upstream: Upstream, program: str) -> Target:
    address = Address(port=upstream.port)
    return Target("direct-tcp", address, versus="direct-tcp")


def _bare(directory: Path, upstream: Upstream, program: str) -> Target:
    path = str(directory / "bare.sock")
    command = (sys.executable, "-m", "benchmarks.bare", path, upstream.path)
    return Target("bare", Address(path=path), command, here(), translates=False)


def _modelplex(directory: Path, upstream: Upstream, program: str) -> Target:
    # A directory for the guest's socket alone: the operator's is not to be below it.
    guest = directory / "guest"
    guest.mkdir(mode=0o700)
    path = str(guest / "modelplex.sock")
    config = directory / "modelplex.toml"
    config.write_text(_MODELPLEX.format(unix=upstream.unix_url()))
    module = (sys.executable, "-m", "modelplex.cli.main")
    command = (*module, "-c", str(config), "-s", path)
    environment = here() | {"XDG_RUNTIME_DIR": str(directory)}
    return Target("modelplex", Address(path=path), command, environment)


def _litellm(directory: Path, upstream: Upstream, program: str) -> Target:
    tcp = f"http://127.0.0.1:{upstream.port}"
    served = (
        ("gpt-4o-mini", "openai/gpt-4o-mini", f"{tcp}/v1"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", tcp),
        ("llama3.2", "ollama_chat/llama3.2", tcp),
    )
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": url, "api_key": "bench"},
        }
        for name, model, url in served
    ]
    config = directory / "litellm.yaml"  # JSON is YAML
    settings = {"num_retries": 0, "telemetry": False}
    config.write_text(
        json.dumps(
            {
                "model_list": models,
                "litellm_settings": settings,
                "general_settings": {"master_key": "sk-bench"},
            }
        )
    )
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    return Target(
        "litellm",
        Address(port=port),
        (program, "--config", str(config), *where),
        {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ("authorization: Bearer sk-bench",),
        patience=90.0,
        versus="direct-tcp",
    )


KINDS: Mapping[str, Callable[[Path, Upstream, str], Target]] = {
    "direct": _direct,
    "bare": _bare,
    "modelplex": _modelplex,
    "direct-tcp": _direct_tcp,
    "litellm": _litellm,
}


def make(name: str, directory: Path, upstream: Upstream, program: str) -> Target:
    """
    The target of that name; what it needs is written into `directory`.

    :param program: the executable, for a target that is not ours.
    """
    return KINDS[name](directory, upstream, program)


def here() -> dict[str, str]:
    """Lets a child import this source tree, whatever its working directory."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
