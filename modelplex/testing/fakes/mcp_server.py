"""
An MCP server on standard input and output with every bad habit of real ones.

A program of the standard library alone: ``python -I -S mcp_server.py [habit …]``.
The habits are the names in `HABITS`; its tools are in `TOOLS`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Any

HABITS = {
    "modern": "speaks 2026-07-28 and refuses initialize",
    "exit-on-discover": "ends when it is probed",
    "hang-on-discover": "does not answer when it is probed, nor anything after it",
    "silent-on-discover": "does not answer when it is probed",
    "invalid-on-discover": "answers a probe with -32602",
    "hang": "answers nothing",
    "refuse": "refuses initialize",
    "exit": "ends at once",
    "old": "speaks 2024-11-05",
    "alien": "speaks a revision that nobody knows",
    "banner": "prints lines that are no messages",
    "crlf": "ends its lines with a carriage return",
    "early": "notifies before it is initialized",
    "ignore-eof": "lives on when its input ends",
    "ignore-term": "lives on when it is asked to end",
    "grandchild": "has a child of its own that holds its output and ignores signals",
    "daemon": "has a child that has left its process group",
    "stderr": "prints a megabyte on standard error",
    "duplicates": "lists a tool twice, and things that are no tools",
    "pages": "lists its tools in pages; a cursor is empty",
    "cycle": "lists its tools in pages that go round",
    "storm": "says at its start that its lists changed, hundreds of times",
    "text-ids": "answers ids as texts",
    "spoof": "answers every request several times, and some that nobody made",
    "roots": "asks for the roots as soon as it is initialized",
    "result-first": "writes the id of an answer last",
    "broken-prompts": "says that it has prompts, and does not list them",
}

TOOLS = (
    *("echo", "sleep", "crash", "exit", "big", "progress", "log", "ask", "env"),
    *("change", "stderr", "never", "seen", "latin", "half", "add", "rounds", "touch"),
    *("limits", "deaf", "ask-withdraw"),
)

PREFIX = "io.modelcontextprotocol/"
SCHEMA = {"type": "object"}


class Server:
    """One run of it."""

    def __init__(self, habits: set[str]) -> None:
        self.habits = habits
        self.lock = threading.Lock()
        self.tools = list(TOOLS)
        self.seen: list[str] = []
        self.waiting: dict[Any, threading.Timer] = {}
        self.asked: dict[Any, Any] = {}
        self.listens: list[Any] = []
        self.next = 0

    # Writing

    def write(self, message: dict[str, Any]) -> None:
        if "text-ids" in self.habits and "id" in message and "method" not in message:
            message["id"] = str(message["id"])
        if "result-first" in self.habits and "result" in message:
            text = json.dumps({"result": message["result"], "jsonrpc": "2.0"})
            text = text[:-1] + f',"id":{json.dumps(message["id"])}}}'
        else:
            text = json.dumps({"jsonrpc": "2.0", **message})
        self.raw(text.encode())

    def raw(self, text: bytes) -> None:
        with self.lock:
            if "banner" in self.habits:
                sys.stdout.buffer.write(
                    b"\nServer listening {not json}\n[1, 2]\n\xff\n"
                )
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.write(b"\r\n" if "crlf" in self.habits else b"\n")
            sys.stdout.buffer.flush()

    def answer(self, id: Any, result: Any) -> None:
        if "modern" in self.habits:
            result.setdefault("resultType", "complete")
        if "spoof" in self.habits:
            self.write({"id": 999_999, "result": {"content": [], "spoofed": True}})
            self.write({"id": f"x{id}", "result": {"spoofed": True}})
            self.write({"error": {"code": -1, "message": "spoofed"}, "id": None})
        self.write({"id": id, "result": result})
        if "spoof" in self.habits:
            self.write({"id": id, "result": {"content": [], "spoofed": True}})

    def text(self, id: Any, text: str) -> None:
        self.answer(id, {"content": [{"type": "text", "text": text}]})

    def error(self, id: Any, code: int, message: str, told: Any = None) -> None:
        self.write(
            {"id": id, "error": {"code": code, "message": message, "data": told}}
        )

    def note(self, method: str, params: dict[str, Any]) -> None:
        self.write({"method": f"notifications/{method}", "params": params})

    # Reading

    def run(self) -> None:
        for line in sys.stdin.buffer:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self.take(message)
        if "ignore-eof" in self.habits or "ignore-term" in self.habits:
            while True:
                time.sleep(60)

    def take(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method is None:
            waiting = self.asked.pop(message.get("id"), None)
            if waiting is not None:
                told = message.get("result", message.get("error"))
                self.text(waiting, json.dumps(told))
            return
        self.seen.append(method)
        if "hang" in self.habits:
            return
        if "id" not in message:
            self.noted(method, params)
            return
        self.asked_for(message["id"], method, params)

    def noted(self, method: str, params: dict[str, Any]) -> None:
        if method == "notifications/cancelled":
            timer = self.waiting.pop(params["requestId"], None)
            if timer is not None:
                timer.cancel()
            if params["requestId"] in self.listens:
                self.listens.remove(params["requestId"])
        elif method == "notifications/initialized":
            if "roots" in self.habits:
                self.write({"id": "roots-1", "method": "roots/list"})
                self.asked["roots-1"] = None
            if "storm" in self.habits:
                for _ in range(500):
                    self.note("tools/list_changed", {})

    def asked_for(self, id: Any, method: str, params: dict[str, Any]) -> None:
        modern = "modern" in self.habits
        if modern and PREFIX + "protocolVersion" not in params.get("_meta", {}):
            told = {"supported": ["2026-07-28"], "requested": "?"}
            self.error(id, -32022, "unsupported version", told)
            return
        match method:
            case "server/discover":
                self.discover(id)
            case "initialize":
                self.initialize(id, params)
            case "ping":
                self.answer(id, {})
            case "tools/list":
                self.list_tools(id, params)
            case "prompts/list":
                self.error(id, -32603, "the prompts are broken")
            case "resources/list":
                uri = "test://one"
                self.answer(id, {"resources": [{"uri": uri, "name": "one"}]})
            case "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel":
                self.seen[-1] += " " + str(params.get("uri") or params.get("level"))
                self.answer(id, {})
            case "subscriptions/listen" if modern:
                self.listens.append(id)
                told = params["notifications"].get("resourceSubscriptions", [])
                self.seen[-1] += " " + ",".join(told)
                meta = {"_meta": {PREFIX + "subscriptionId": id}}
                self.note("subscriptions/acknowledged", meta)
            case "tools/call":
                self.call(id, params)
            case _:
                self.error(id, -32601, "Method not found")

    def discover(self, id: Any) -> None:
        if "exit-on-discover" in self.habits:
            os._exit(3)
        if "hang-on-discover" in self.habits:
            while True:
                time.sleep(60)
        if "silent-on-discover" in self.habits:
            return
        if "invalid-on-discover" in self.habits:
            self.error(id, -32602, "Invalid request parameters")
            return
        if "modern" not in self.habits:
            self.error(id, -32601, "Method not found")
            return
        self.answer(
            id,
            {
                "supportedVersions": ["2026-07-28"],
                "capabilities": self.capabilities(),
                "ttlMs": 0,
                "cacheScope": "private",
            },
        )

    def capabilities(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tools": {"listChanged": True}, "logging": {}}
        found["resources"] = {"subscribe": True}
        if "broken-prompts" in self.habits:
            found["prompts"] = {}
        return found

    def initialize(self, id: Any, params: dict[str, Any]) -> None:
        if "early" in self.habits:
            self.note("tools/list_changed", {})
            self.note("message", {"level": "error", "data": "early"})
            self.write({"id": "early-1", "method": "ping"})
        if "refuse" in self.habits:
            self.error(id, -32603, "no")
            return
        version = params["protocolVersion"]
        if "old" in self.habits:
            version = "2024-11-05"
        if "alien" in self.habits:
            version = "1999-01-01"
        told: dict[str, Any] = {"protocolVersion": version, "instructions": "be kind"}
        told["capabilities"] = self.capabilities()
        told["serverInfo"] = {"name": "fake", "version": "1"}
        self.declared = params["capabilities"]
        self.answer(id, told)

    def list_tools(self, id: Any, params: dict[str, Any]) -> None:
        tools: list[Any] = [{"name": n, "inputSchema": SCHEMA} for n in self.tools]
        cursor = params.get("cursor")
        if "duplicates" in self.habits:
            tools += [{"name": "echo", "description": "another"}, {"name": 3}, None, {}]
        if "pages" in self.habits:
            parts = {
                None: (tools[:3], ""),
                "": (tools[3:5], "2"),
                "2": (tools[5:], None),
            }
            tools, after = parts[cursor]
            told = {"tools": tools}
            self.answer(id, told if after is None else {**told, "nextCursor": after})
            return
        if "cycle" in self.habits:
            self.answer(
                id, {"tools": tools, "nextCursor": "a" if cursor != "a" else "b"}
            )
            return
        self.answer(id, {"tools": tools})

    # Tools

    def call(self, id: Any, params: dict[str, Any]) -> None:
        given = params.get("arguments", {})
        token = params.get("_meta", {}).get("progressToken")
        match params.get("name"):
            case "echo":
                self.text(id, given.get("text", ""))
            case "sleep":
                self.later(id, given["seconds"])
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                self.text(id, "the last words")
                os._exit(given.get("code", 0))
            case "big":
                self.text(id, "x" * given["size"])
            case "progress":
                threading.Thread(
                    target=self.progress, args=(id, token, given), daemon=True
                ).start()
            case "log":
                for level in ("debug", "info", "error"):
                    self.note("message", {"level": level, "data": f"about {level}"})
                self.text(id, "logged")
            case "ask":
                self.question(id, given)
            case "ask-withdraw":
                self.question(id, given)
                self.note("cancelled", {"requestId": f"q{self.next}"})
                self.text(id, "never mind")
            case "env":
                # What it was given; the interpreter adds to os.environ.
                with open("/proc/self/environ") as file:
                    given = dict(v.split("=", 1) for v in file.read().split("\0")[:-1])
                self.text(id, json.dumps(given))
            case "change":
                self.tools.append(given["tool"])
                for _ in range(given.get("times", 1)):
                    self.note("tools/list_changed", self.subscribed())
                self.text(id, "changed")
            case "touch":
                uri = given["uri"]
                self.note("resources/updated", {"uri": uri, **self.subscribed()})
                self.text(id, "touched")
            case "stderr":
                self.complain(given["size"])
                self.text(id, "complained")
            case "never":
                pass
            case "seen":
                self.text(id, json.dumps(self.seen))
            case "latin":
                text = json.dumps({"jsonrpc": "2.0", "id": id, "result": {"t": "@"}})
                self.raw(text.encode().replace(b"@", b"caf\xe9"))
            case "half":
                self.write({"id": id, "result": {"t": "\ud83d!"}})
            case "add":
                self.text(id, str(given["a"] + given["b"]))
            case "rounds":
                self.rounds(id, params)
            case "limits":
                kinds = ("RLIMIT_DATA", "RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_CPU")
                told = {k: resource.getrlimit(getattr(resource, k)) for k in kinds}
                told["group"] = (os.getpgid(0), os.getsid(0))
                with open("/proc/self/status") as status:
                    self.text(id, json.dumps([told, os.getcwd(), status.read()]))
            case "deaf":
                self.text(id, "")
                while True:
                    time.sleep(60)
            case _:
                self.error(id, -32602, f"Unknown tool: {params.get('name')}")

    def later(self, id: Any, seconds: float) -> None:
        def due() -> None:
            if self.waiting.pop(id, None) is not None:
                self.text(id, "slept")

        timer = threading.Timer(seconds, due)
        timer.daemon = True
        self.waiting[id] = timer
        timer.start()

    def progress(self, id: Any, token: Any, given: dict[str, Any]) -> None:
        steps = given["steps"]
        for step in range(steps):
            self.note(
                "progress",
                {"progressToken": token, "progress": step + 1, "total": steps},
            )
            self.note("progress", {"progressToken": token, "progress": step})
            self.note("progress", {"progressToken": 424242, "progress": step})
            time.sleep(given.get("pause", 0))
        self.text(id, "done")

    def question(self, id: Any, given: dict[str, Any]) -> None:
        self.next += 1
        self.asked[f"q{self.next}"] = id
        self.write(
            {
                "id": f"q{self.next}",
                "method": given.get("method", "elicitation/create"),
                "params": {"message": "Sure?", "requestedSchema": SCHEMA},
            }
        )

    def rounds(self, id: Any, params: dict[str, Any]) -> None:
        wanted = params.get("arguments", {}).get("rounds", 1)
        done = int(params.get("requestState", "0"))
        told = params.get("inputResponses", {})
        if done >= wanted:
            self.text(id, json.dumps({"id": id, "answers": told}))
            return
        asked = {"method": "elicitation/create", "params": {"message": f"{done}"}}
        round: dict[str, Any] = {"resultType": "input_required"}
        round["requestState"] = str(done + 1)
        if not params["arguments"].get("silent"):
            round["inputRequests"] = {"ok": asked, "where": {"method": "roots/list"}}
        self.answer(id, round)

    def subscribed(self) -> dict[str, Any]:
        if "modern" not in self.habits:
            return {}
        return {"_meta": {PREFIX + "subscriptionId": self.listens[-1]}}

    def complain(self, size: int) -> None:
        os.write(2, b"")
        sys.stderr.write(("all is lost " * 8 + "\n") * (size // 97))
        sys.stderr.flush()


def main(habits: set[str]) -> None:
    """Until the input ends, or longer."""
    unknown = habits - HABITS.keys()
    if unknown:
        sys.exit(f"no such habit: {unknown}")
    server = Server(habits)
    if "ignore-term" in habits:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "exit" in habits:
        sys.exit("cannot go on")
    if "stderr" in habits:
        server.complain(2**20)
    if "grandchild" in habits or "daemon" in habits:
        subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", "-c"),
                "import signal, time\n"
                "for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
                "time.sleep(600)",
            ],
            start_new_session="daemon" in habits,
        )
    server.run()


if __name__ == "__main__":
    main(set(sys.argv[1:]))
