# mypy: ignore-errors
# It runs with another version of the SDK than is here.
"""Version 1 of the Python SDK: ``python1.py SOCKET URL``; see `asked.py`."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client


async def main(socket: str, url: str) -> None:
    transport = httpx.AsyncHTTPTransport(uds=socket)
    async with (
        httpx.AsyncClient(transport=transport, timeout=30) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as client,
    ):
        await client.initialize()
        tools = (await client.list_tools()).tools
        results = []
        for name, arguments in json.load(sys.stdin):
            try:
                found = await client.call_tool(name, arguments)
            except McpError as e:
                results.append({"code": e.error.code})
            else:
                texts = [one.text for one in found.content if one.type == "text"]
                failed = bool(found.isError)
                results.append({"failed": failed, "text": "\n".join(texts)})
    names = [one.name for one in tools]
    print(json.dumps({"tools": names, "results": results}))


asyncio.run(main(*sys.argv[1:]))
