"""The official Node packages over the socket, with undici's dispatcher."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from twisted.internet.threads import deferToThread

from modelplex.testing.fakes.anthropic import Anthropic
from modelplex.testing.fakes.faults import Status
from modelplex.testing.fakes.gemini import Gemini
from modelplex.testing.fakes.house import House
from modelplex.testing.fakes.ollama import Ollama
from modelplex.testing.fakes.openai import OpenAI
from modelplex.testing.fakes.responses import Responses
from modelplex.testing.fakes.script import Call, Script
from modelplex.testing.fakes.upstream import Upstream

pytestmark = pytest.mark.agents

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("node")
MODULES = ROOT / ".venv" / "node" / "node_modules"
KEY = "sk-secret-0123456789"
DUMMY = "sk-dummy-of-the-guest"
CITY = "Köln ☃"
# Thinking is not asked for here, so that each has the same to say.
SPEAKERS: dict[str, Any] = {
    "openai": OpenAI(("target",), KEY),
    "responses": Responses(("target",), KEY),
    "anthropic": Anthropic(("target",), KEY),
    "gemini": Gemini(("target",), KEY),
    "ollama": Ollama(("target",), KEY),
}
SDK = pytest.mark.parametrize("sdk", ["openai", "anthropic"])
EVERY = pytest.mark.parametrize("kind", SPEAKERS)


@frozen
class Open:
    """A service with one provider, and Node on the other side of its socket."""

    house: House
    upstream: Upstream
    directory: Path

    async def run(self, sdk: str, case: str) -> Any:
        """What the script of `sdk` prints for `case`."""
        script = self.directory / f"{sdk}.mjs"
        shutil.copy(SCRIPTS / script.name, script)
        environ = {"MODELPLEX_SOCKET": self.house.socket, "MODEL": "fast"}
        out = await deferToThread(node, [script.name, case], self.directory, environ)
        for one in self.upstream.received:
            assert DUMMY not in f"{one.headers} {one.query}"
        return json.loads(out)


def node(arguments: list[str], directory: Path, environ: Mapping[str, str]) -> str:
    """What Node prints; packages are found beside the script."""
    modules = directory / "node_modules"
    if not modules.exists():
        modules.symlink_to(MODULES)
    done = subprocess.run(
        ["node", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "DUMMY": DUMMY, **environ},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip where Node or the packages are missing."""
    if shutil.which("node") is None or not MODULES.exists():
        pytest.skip("the Node packages are not installed: run `make agents`")


@pytest.fixture
def opened(
    house: House, upstream: Callable[..., Upstream], tmp_path: Path
) -> Callable[..., Open]:
    """Opens a service in front of one provider that follows a script."""

    def made(kind: str, **script: Any) -> Open:
        one = upstream(SPEAKERS[kind], script=Script(**script))
        api = 'api = "responses"\n' if kind == "responses" else ""
        house.open(
            f'[[providers]]\nname = "p"\nmodels = {{ fast = "target" }}\n{api}'
            f'type = "{"openai" if kind == "responses" else kind}"\n'
            f'base_url = "{one.url}"\napi_key = "${{KEY}}"\n',
            {"KEY": KEY},
        )
        return Open(house, one, tmp_path)

    return made


@SDK
@EVERY
async def test_a_plain_answer_is_whole(
    opened: Callable[..., Open], kind: str, sdk: str
) -> None:
    said = await opened(kind).run(sdk, "plain")
    assert said == {"text": Script().text, "tokens": 18}


@SDK
@EVERY
async def test_a_streamed_answer_comes_in_pieces(
    opened: Callable[..., Open], kind: str, sdk: str
) -> None:
    said = await opened(kind).run(sdk, "streamed")
    assert said["text"] == Script().text and said["pieces"] > 2


@SDK
@EVERY
async def test_parallel_calls_come_and_their_results_go_back(
    opened: Callable[..., Open], kind: str, sdk: str
) -> None:
    calls = (Call("call_1", "weather", {"city": CITY}), Call("call_2", "weather", {}))
    said = await opened(kind, calls=calls).run(sdk, "tools")
    told = f"call_1 said weather of {CITY}; call_2 said weather of undefined"
    assert said == {"text": told}


@EVERY
async def test_a_response_is_the_sum_of_its_deltas(
    opened: Callable[..., Open], kind: str
) -> None:
    said = await opened(kind).run("openai", "responses")
    assert said == {"text": Script().text, "deltas": Script().text}


@SDK
async def test_models_are_listed(opened: Callable[..., Open], sdk: str) -> None:
    assert await opened("openai").run(sdk, "models") == {"ids": ["fast"]}


@SDK
@EVERY
async def test_an_unknown_model_is_not_found(
    opened: Callable[..., Open], kind: str, sdk: str
) -> None:
    error = await opened(kind).run(sdk, "unknown")
    assert (error["name"], error["status"]) == ("NotFoundError", 404)
    assert "nonesuch" in error["message"] and KEY not in error["message"]
    codes = {"openai": "model_not_found", "anthropic": "not_found_error"}
    assert error["code"] == codes[sdk]


@SDK
@EVERY
@pytest.mark.parametrize(
    ("status", "name"), [(400, "BadRequestError"), (429, "RateLimitError")]
)
async def test_an_upstreams_refusal_has_its_class(
    opened: Callable[..., Open], kind: str, sdk: str, status: int, name: str
) -> None:
    one = opened(kind)
    one.upstream.fault = Status(status, f"this model does not like {KEY}")
    error = await one.run(sdk, "refused")
    assert (error["name"], error["status"]) == (name, status)
    assert KEY not in error["message"]


async def test_the_node_example_of_the_readme_works(
    house: House, tmp_path: Path
) -> None:
    readme = (ROOT / "README.rst").read_text()
    [block] = re.findall(
        r"^\.\. code-block:: javascript\n\n((?:    .*\n|\n)+)", readme, re.MULTILINE
    )
    example = re.sub(r"^    ", "", block, flags=re.MULTILINE)
    house.open('[[providers]]\nname = "d"\ntype = "demo"\nmodels = ["demo"]\n', {})
    # The example finds the socket where the README's commands put it.
    (tmp_path / "modelplex.socket").symlink_to(house.socket)
    use = "console.log((await client.models.list()).data.map((one) => one.id).join());"
    (tmp_path / "example.mjs").write_text(f"{example}\n{use}\n")
    out = await deferToThread(node, ["example.mjs"], tmp_path, {})
    assert out == "demo\n"


async def test_a_form_with_its_file_before_its_model_is_passed_on(
    opened: Callable[..., Open],
) -> None:
    said = await opened("openai").run("openai", "transcription")
    told = json.loads(said["text"])
    assert told["fields"] == [["model", "target"], ["prompt", "größe"]]
    [file] = told["files"]
    assert (file["filename"], file["bytes"]) == ("ü.mp3", 3_000_000)
