"""Several guests, their policies, and how the service starts and refuses to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted

from modelplex.config import parse
from modelplex.errors import StartError

if TYPE_CHECKING:
    from modelplex.testing.fakes.house import House

DEMO = '[[providers]]\nname = "p"\ntype = "demo"\nmodels = ["small", "large"]\n'


@pytest_twisted.ensureDeferred
async def test_each_guest_has_its_own_socket_and_policy(house: House) -> None:
    from modelplex.testing.fakes.guest import answered

    other = house.directory / "other"
    other.mkdir(mode=0o700)
    house.open(
        f'{DEMO}[[guests]]\nname = "default"\n'
        f'[[guests]]\nname = "coder"\nsocket = "{other}/s"\nmodels = ["small"]\n',
        {},
    )
    seen: dict[str, list[str]] = {}
    for name, socket in (("default", house.socket), ("coder", f"{other}/s")):
        listed = await answered(house.reactor, socket, "/v1/models")
        seen[name] = [model["id"] for model in listed.json()["data"]]
        hidden = await answered(house.reactor, socket, "/v1/models/large")
        assert hidden.status == (200 if name == "default" else 404)
    assert seen == {"default": ["large", "small"], "coder": ["small"]}
    guests = {one["name"]: one for one in house.service.status()["guests"]}
    assert guests["coder"]["socket"] == f"{other}/s"
    assert (other / "s").stat().st_mode & 0o777 == 0o600


@pytest_twisted.ensureDeferred
async def test_a_way_out_is_open_to_the_guest_that_was_given_it(house: House) -> None:
    other = house.directory / "other"
    other.mkdir(mode=0o700)
    house.open(
        f'{DEMO}[[guests]]\nname = "default"\n'
        f'[[guests]]\nname = "open"\nsocket = "{other}/s"\nallow = ["remote-urls"]\n',
        {},
    )
    from modelplex.testing.fakes.guest import answered
    from modelplex.testing.fakes.house import CHAT

    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    body = {"model": "small", "messages": [{"role": "user", "content": [picture]}]}
    closed = await house.answered(CHAT, body)
    assert (closed.status, closed.error()["code"]) == (403, "forbidden_by_policy")
    assert 'allow = ["remote-urls"]' in closed.error()["message"]
    opened = await answered(house.reactor, f"{other}/s", CHAT, body)
    assert opened.status == 200


def service(directory: Path, server: str) -> Any:
    from twisted.internet import reactor

    from modelplex.service import ModelplexService

    (directory / "run").mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(directory / "run")}
    return ModelplexService(
        parse(f"[server]\n{server}\n{DEMO}", environ), reactor, environ
    )


@pytest.mark.parametrize("where", ["s", "run/s", "run/modelplex/s"])
@pytest_twisted.ensureDeferred
async def test_the_control_socket_is_never_where_a_guest_may_get_it_mounted(
    where: str, tmp_path: Path
) -> None:
    one = service(tmp_path, f'socket = "{tmp_path / where}"')
    (tmp_path / "run" / "modelplex").mkdir(mode=0o700, exist_ok=True)
    with pytest.raises(StartError, match="control socket is below"):
        one.startService()
    assert not (tmp_path / where).exists(), "no guest is served either"
    await one.stopService()


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ('[mcp]\nstate = "{g}/state"\n', "what is remembered of tools is below"),
        ('[audit]\nfile = "{g}/a"\n[mcp]\n', "the record of their calls is below"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_kept_of_tools_is_never_where_a_guest_may_get_it_mounted(
    kept: str, told: str, tmp_path: Path
) -> None:
    from twisted.internet import reactor

    from modelplex.service import ModelplexService

    guest = tmp_path / "g"
    guest.mkdir(mode=0o700)
    tools = '[[mcp.servers]]\nname = "a"\ncommand = "b"\n'
    server = f'[server]\nsocket = "{guest / "s"}"\ncontrol = "{tmp_path / "c"}"\n'
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    config = parse(server + kept.format(g=guest) + tools + DEMO, environ)
    one = ModelplexService(config, reactor, environ)
    with pytest.raises(StartError, match=told):
        one.startService()
    assert list(guest.iterdir()) == [], "nothing is left there"
    await one.stopService()


@pytest_twisted.ensureDeferred
async def test_a_service_that_cannot_open_one_socket_opens_none(tmp_path: Path) -> None:
    guests = tmp_path / "g"
    guests.mkdir(mode=0o700)
    taken = guests / "taken"
    taken.mkdir()
    one = service(
        tmp_path,
        f'socket = "{guests}/s"\n[[guests]]\nname = "default"\n'
        f'[[guests]]\nname = "b"\nsocket = "{taken}"',
    )
    with pytest.raises(StartError, match="taken"):
        one.startService()
    assert not (guests / "s").exists()
    await one.stopService()


@pytest_twisted.ensureDeferred
async def test_what_the_operator_sees_holds_no_key(house: House) -> None:
    house.open(
        '[[providers]]\nname = "p"\ntype = "openai"\napi_key = "${KEY}"\n'
        'base_url = "http+unix://%2Fnonexistent%2Fs/v1?key=sk-secret-2"\n'
        'models = ["m", "g-*"]\nheaders = { x-more = "sk-secret-3" }\n',
        {"KEY": "sk-secret-1"},
    )
    first = await house.chat("m")
    assert first.status == 502
    told = f"{house.service.status()} {house.service.models()} {first.raw!r}"
    assert "sk-secret" not in told
    [glob, exact] = house.service.models()
    assert (glob["model"], glob["condition"]) == ("g-*", "up")
    assert (exact["condition"], exact["why"]) == ("cooling", "upstream_unreachable")
