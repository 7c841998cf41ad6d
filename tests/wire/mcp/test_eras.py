"""Which era a message belongs to: every row of the table of both."""

from __future__ import annotations

from typing import Any

import pytest

from modelplex.wire.jsonrpc import RpcError, message_of, parse_all
from modelplex.wire.mcp.envelope import VERSION
from modelplex.wire.mcp.eras import Era, check_era, era_of, first_era

MODERN = "2026-07-28"
OLD = "2025-06-18"
CLAIM = {"_meta": {VERSION: MODERN}}
UNKNOWN = {"_meta": {VERSION: "1900-01-01"}}


def message(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    found = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return found if id is None else {**found, "id": id}


ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {}}
FAILURE = {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": ""}}


@pytest.mark.parametrize(
    ("sent", "version", "era"),
    [
        (message("tools/list"), None, Era.LEGACY),
        (message("tools/list"), OLD, Era.LEGACY),
        (message("tools/list"), "1999-01-01", Era.LEGACY),
        (message("tools/list"), MODERN, -32602),
        (message("tools/list", CLAIM), None, Era.MODERN),
        (message("tools/list", CLAIM), MODERN, Era.MODERN),
        (message("tools/list", CLAIM), OLD, Era.MODERN),
        (message("tools/list", UNKNOWN), None, Era.MODERN),
        (message("initialize"), None, Era.LEGACY),
        (message("initialize"), OLD, Era.LEGACY),
        (message("initialize"), MODERN, -32020),
        (message("initialize", UNKNOWN), None, Era.LEGACY),
        (message("initialize", CLAIM), MODERN, Era.MODERN),
        (message("notifications/cancelled", id=None), None, Era.LEGACY),
        (message("notifications/cancelled", id=None), MODERN, Era.MODERN),
        (message("notifications/cancelled", CLAIM, None), None, Era.MODERN),
        (ANSWER, None, Era.LEGACY),
        (ANSWER, MODERN, -32600),
        (FAILURE, OLD, Era.LEGACY),
        (FAILURE, MODERN, -32600),
        ([message("tools/list")], None, Era.LEGACY),
        ([message("tools/list")], MODERN, -32600),
        ([ANSWER, message("tools/list", CLAIM)], None, -32600),
        ([message("x", CLAIM, None)], None, -32600),
    ],
)
def test_message_and_header_tell_the_era(sent: Any, version: Any, era: Any) -> None:
    sent = [message_of(one) for one in sent] if isinstance(sent, list) else sent
    sent = sent if isinstance(sent, list) else message_of(sent)
    if isinstance(era, Era):
        assert era_of(sent, version) is era
    else:
        with pytest.raises(RpcError) as caught:
            era_of(sent, version)
        assert caught.value.rpc_code == era


def call(method: str, params: Any = None) -> Any:
    return message_of(message(method, params))


def test_the_first_request_tells_the_era_of_a_connection() -> None:
    assert first_era(call("server/discover", CLAIM)) is Era.MODERN
    assert first_era(call("initialize")) is Era.LEGACY
    assert first_era(call("tools/list")) is Era.LEGACY


def test_a_modern_connection_has_no_initialize() -> None:
    with pytest.raises(RpcError) as caught:
        check_era(Era.MODERN, call("initialize", {"protocolVersion": OLD}))
    assert caught.value.rpc_code == -32022
    assert caught.value.data == {"supported": [MODERN], "requested": OLD}
    check_era(Era.MODERN, call("tools/list", CLAIM))


def test_a_legacy_connection_has_no_envelopes() -> None:
    with pytest.raises(RpcError) as caught:
        check_era(Era.LEGACY, call("tools/list", CLAIM))
    assert caught.value.rpc_code == -32600
    check_era(Era.LEGACY, call("initialize"))


def test_a_batch_with_one_bad_message_is_none() -> None:
    with pytest.raises(RpcError) as caught:
        parse_all(b'[{"jsonrpc":"2.0","id":1,"method":"ping"},1]')
    assert caught.value.rpc_code == -32600
