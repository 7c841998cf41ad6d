"""
The server that the official conformance suite wants to find, on pipes.

``python -m modelplex.testing.fakes.mcp_fixture --era legacy|modern|dual``. Of the
legacy era (2024-11-05 to 2025-11-25) it asks its client by requests of its own; of the
modern one (2026-07-28) it answers with what it wants to know, and keeps nothing. Only
the standard library is used. It speaks one message a line and runs until its input
ends.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Queue
from typing import Any, BinaryIO

from modelplex.testing.fakes import mcp_fixture_offers as offers
from modelplex.testing.fakes.mcp_fixture_offers import JsonObject, Questions, Refused

MODERN = "2026-07-28"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PREFIX = "io.modelcontextprotocol/"
KEY = "modelplex/key"  # in `_meta`: what a question would be called in the modern era
STAMP = {"name": "modelplex-fixture", "version": "1"}
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert")
LISTS = {
    "tools/list": lambda server: {"tools": offers.tools(server.more["tools"])},
    "prompts/list": lambda server: {"prompts": offers.prompts(server.more["prompts"])},
    "resources/list": lambda server: {"resources": offers.RESOURCES},
    "resources/templates/list": lambda s: {"resourceTemplates": offers.TEMPLATES},
}
NO_METHOD, NO_PARAMS, INTERNAL = -32601, -32602, -32603
NOT_FOUND, LACKING, UNKNOWN_VERSION = -32002, -32021, -32022
CAN = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


class InputRequired(Exception):
    """A request that is answered with questions; the modern way."""

    def __init__(self, result: JsonObject) -> None:
        super().__init__("there are questions")
        self.result = result


class Server:
    """One run of it, with one client."""

    def __init__(self, era: str, output: BinaryIO) -> None:
        self.era, self._output = era, output
        self._lock = threading.Lock()
        self.more = {"tools": False, "prompts": False}
        self.capabilities: Mapping[str, Any] = {}  # of a legacy client
        self.level: str | None = None  # the least that a legacy client wants to hear
        self._subscribed: set[str] = set()
        self._listens: dict[Any, JsonObject] = {}
        self.waiting: dict[Any, Queue[JsonObject]] = {}
        self._asked = 0
        self._key = secrets.token_bytes(32)
        self.began = False

    # --- writing

    def write(self, message: JsonObject) -> None:
        """One message, whole."""
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        with self._lock:
            self._output.write(line)
            self._output.flush()

    def number(self) -> int:
        """An id that no question had yet."""
        with self._lock:
            self._asked += 1
            return self._asked

    def change(self, kind: str) -> None:
        """Another list, told to whoever wants to know."""
        self.more[kind] = not self.more[kind]
        method = f"notifications/{kind}/list_changed"
        if self.began:
            self.write({"method": method})
        for id, wanted in list(self._listens.items()):
            if wanted.get(f"{kind}ListChanged"):
                meta = {"_meta": {f"{PREFIX}subscriptionId": id}}
                self.write({"method": method, "params": meta})

    # --- reading

    def take(self, message: JsonObject) -> None:
        """Act on what the client said; what takes time does so in a thread."""
        method, id = message.get("method"), message.get("id")
        params = message.get("params") or {}
        if method is None:
            waiting = self.waiting.pop(id, None)
            if waiting is not None:
                waiting.put(message)
        elif id is None:
            if method == "notifications/cancelled":
                self._listens.pop(params.get("requestId"), None)
        elif method in ("tools/call", "prompts/get"):
            threading.Thread(
                target=self._answer, args=(id, method, params), daemon=True
            ).start()
        else:
            self._answer(id, method, params)

    def _answer(self, id: Any, method: str, params: JsonObject) -> None:
        try:
            found = self._found(id, method, params)
        except KeyError as e:
            missing = {"code": NO_PARAMS, "message": f"{e} is required"}
            self.write({"id": id, "error": missing})
        except Refused as e:
            error: JsonObject = {"code": e.code, "message": e.message}
            if e.told is not None:
                error["data"] = e.told
            self.write({"id": id, "error": error})
        else:
            if found is not None:
                self.write({"id": id, "result": found})

    def _found(self, id: Any, method: str, params: JsonObject) -> JsonObject | None:
        meta = params.get("_meta") or {}
        if self.era != "modern" and f"{PREFIX}protocolVersion" not in meta:
            if method == "initialize":
                return self._initialize(params)
            if method != "server/discover":
                return self._legacy(LegacyExchange(self, meta), method, params)
        if self.era == "legacy":
            raise Refused(NO_METHOD, "Method not found")
        version = meta.get(f"{PREFIX}protocolVersion")
        if version is None:
            raise Refused(NO_PARAMS, "this server wants to be told the version")
        if version != MODERN:
            told = {"supported": [MODERN], "requested": version}
            raise Refused(UNKNOWN_VERSION, "Unsupported protocol version", told)
        if method == "subscriptions/listen":
            self._listen(id, params)
            return None
        exchange = ModernExchange(self, meta, method, params)
        try:
            found = {"resultType": "complete", **self._modern(exchange, method, params)}
        except InputRequired as e:
            found = e.result
        return {**found, "_meta": {f"{PREFIX}serverInfo": STAMP}}

    # --- what both eras have

    def _common(
        self, exchange: offers.Exchange, method: str, params: JsonObject
    ) -> JsonObject:
        if method in LISTS:
            return LISTS[method](self)
        given = params.get("arguments") or {}
        match method:
            case "tools/call":
                tool = offers.tool(params.get("name", ""))
                if tool is None:
                    raise Refused(NO_PARAMS, f"Unknown tool: {params.get('name')}")
                return tool(exchange, given)
            case "prompts/get":
                prompt = offers.prompt(params.get("name", ""), given, exchange)
                if prompt is None:
                    raise Refused(NO_PARAMS, f"Unknown prompt: {params.get('name')}")
                return prompt
            case "completion/complete":
                start = str(params["argument"].get("value", ""))
                words = [w for w in ("paris", "park", "party") if w.startswith(start)]
                return {
                    "completion": {
                        "values": words,
                        "total": len(words),
                        "hasMore": False,
                    }
                }
        raise Refused(NO_METHOD, "Method not found")

    # --- the legacy era

    def _initialize(self, params: JsonObject) -> JsonObject:
        self.capabilities = params.get("capabilities") or {}
        self.began = True
        version = params.get("protocolVersion")
        return {
            "protocolVersion": version if version in LEGACY else LEGACY[-1],
            "capabilities": offers.CAPABILITIES,
            "serverInfo": STAMP,
        }

    def _legacy(
        self, exchange: LegacyExchange, method: str, params: JsonObject
    ) -> JsonObject:
        match method:
            case "ping":
                return {}
            case "logging/setLevel":
                self.level = params["level"]
                return {}
            case "resources/subscribe":
                self._subscribed.add(params["uri"])
                return {}
            case "resources/unsubscribe":
                self._subscribed.discard(params["uri"])
                return {}
            case "resources/read":
                return self._read(params, NOT_FOUND)
        return self._common(exchange, method, params)

    def _read(self, params: JsonObject, code: int) -> JsonObject:
        uri = params.get("uri", "")
        found = offers.resource(uri)
        if found is None:
            raise Refused(code, "Resource not found", {"uri": uri})
        return found

    # --- the modern era

    def _modern(
        self, exchange: ModernExchange, method: str, params: JsonObject
    ) -> JsonObject:
        hints = {"ttlMs": 0, "cacheScope": "private"}
        match method:
            case "server/discover":
                found = {
                    "supportedVersions": [MODERN],
                    "capabilities": offers.CAPABILITIES,
                }
                return {**found, **hints}
            case "resources/read":
                return {**self._read(params, NO_PARAMS), **hints}
        found = self._common(exchange, method, params)
        return {**found, **hints} if method in LISTS else found

    def _listen(self, id: Any, params: JsonObject) -> None:
        wanted = params.get("notifications") or {}
        self._listens[id] = wanted
        meta = {f"{PREFIX}subscriptionId": id}
        told = {"_meta": meta, "notifications": wanted}
        self.write(
            {"method": "notifications/subscriptions/acknowledged", "params": told}
        )

    def seal(self, payload: bytes) -> str:
        """Text that only this run can have written."""
        mark = hmac.digest(self._key, payload, hashlib.sha256)
        return base64.urlsafe_b64encode(mark + payload).decode()

    def unseal(self, text: object) -> bytes:
        """
        What was sealed.

        :raises Refused: it is not what this run has written.
        """
        try:
            sealed = base64.b64decode(str(text), b"-_", validate=True)
        except ValueError:
            sealed = b""
        mark, payload = sealed[:32], sealed[32:]
        right = hmac.digest(self._key, payload, hashlib.sha256)
        if not hmac.compare_digest(mark, right):
            raise Refused(NO_PARAMS, "requestState is not valid")
        return payload


@dataclass
class _Told:
    """What both eras tell alike during a request."""

    server: Server
    meta: Mapping[str, Any]

    def progress(self, done: int, total: int) -> None:
        token = self.meta.get("progressToken")
        if token is not None:
            told = {"progressToken": token, "progress": done, "total": total}
            self.server.write({"method": "notifications/progress", "params": told})

    def pause(self) -> None:
        time.sleep(offers.PAUSE)

    def change(self, kind: str) -> None:
        self.server.change(kind)

    def log_from(self, least: str | None, level: str, said: str) -> None:
        if least is None or LEVELS.index(level) < LEVELS.index(least):
            return
        told = {"level": level, "logger": "fixture", "data": said}
        self.server.write({"method": "notifications/message", "params": told})


@dataclass
class LegacyExchange(_Told):
    """A request of the legacy era: questions are requests to the client."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return self.server.capabilities

    def log(self, level: str, said: str) -> None:
        self.log_from(self.server.level or "info", level, said)

    def ask(self, questions: Questions, *, stateful: bool = False) -> JsonObject:
        """
        All at once; nothing is kept anywhere but here.

        :raises Refused: the client did not answer one of them.
        """
        asked: dict[str, Queue[JsonObject]] = {}
        for key, (method, params) in questions.items():
            if CAN[method] not in self.capabilities:
                raise Refused(INTERNAL, f"this client cannot be asked: {method}")
            id = f"{key}-{self.server.number()}"
            asked[key] = self.server.waiting[id] = Queue()
            params = {**params, "_meta": {KEY: key}}
            self.server.write({"id": id, "method": method, "params": params})
        answers: JsonObject = {}
        for key, queue in asked.items():
            told = queue.get()
            if "error" in told:
                error = told["error"]
                raise Refused(error["code"], error["message"], error.get("data"))
            answers[key] = told["result"]
        return answers


@dataclass
class ModernExchange(_Told):
    """
    A request of the modern era: questions are its answer.

    What asks is begun anew with each round; the answers to the earlier ones are in
    what the client keeps for us.
    """

    method: str
    params: JsonObject
    _known: JsonObject = field(init=False)

    def __post_init__(self) -> None:
        answers = self.params.get("inputResponses", {})
        if not isinstance(answers, dict):
            raise Refused(NO_PARAMS, "inputResponses is no object")
        self._known = {}
        if "requestState" in self.params:
            name, known = json.loads(self.server.unseal(self.params["requestState"]))
            if name != [self.method, self.params.get("name")]:
                raise Refused(NO_PARAMS, "requestState is of another request")
            self._known = known
        self._known |= answers

    @property
    def capabilities(self) -> Mapping[str, Any]:
        declared = self.meta.get(f"{PREFIX}clientCapabilities")
        return declared if isinstance(declared, dict) else {}

    def log(self, level: str, said: str) -> None:
        self.log_from(self.meta.get(f"{PREFIX}logLevel"), level, said)

    def ask(self, questions: Questions, *, stateful: bool = False) -> JsonObject:
        """
        Answers that are there already.

        :raises InputRequired: they are not.
        :raises Refused: the client cannot be asked, or has answered something else.
        """
        left = {key: one for key, one in questions.items() if key not in self._known}
        needed = {CAN[method] for method, _ in left.values()}
        if lacking := needed - self.capabilities.keys():
            told: JsonObject = {"requiredCapabilities": {one: {} for one in lacking}}
            raise Refused(LACKING, "Missing required client capability", told)
        if left:
            asked = {key: {"method": m, "params": p} for key, (m, p) in left.items()}
            result: JsonObject = {
                "resultType": "input_required",
                "inputRequests": asked,
            }
            if stateful or self._known:
                mine = [self.method, self.params.get("name")]
                state = json.dumps([mine, self._known]).encode()
                result["requestState"] = self.server.seal(state)
            raise InputRequired(result)
        answers = {key: self._known[key] for key in questions}
        for key, one in answers.items():
            if not isinstance(one, dict):
                raise Refused(NO_PARAMS, f"inputResponses: {key} is no object")
        return answers


def main(arguments: list[str]) -> None:
    """Until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--era", choices=("legacy", "modern", "dual"), default="dual")
    server = Server(parser.parse_args(arguments).era, sys.stdout.buffer)
    for line in sys.stdin.buffer:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            server.take(message)


if __name__ == "__main__":
    main(sys.argv[1:])
