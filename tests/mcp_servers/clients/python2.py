"""Version 2 of the Python SDK: ``python2.py SOCKET URL MODE``; see `asked.py`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client


async def asked(context: Any, params: Any) -> mcp.types.ElicitResult:
    """The user: whoever asks is told the same."""
    return mcp.types.ElicitResult(action="accept", content={"name": "Ada"})


async def sampled(context: Any, params: Any) -> mcp.types.CreateMessageResult:
    """The model: it says what it was asked."""
    text = mcp.types.TextContent(type="text", text=f"said {params.messages[0]}")
    return mcp.types.CreateMessageResult(role="assistant", content=text, model="m")


async def main(socket: str, url: str, mode: Any) -> None:
    transport = httpx2.AsyncHTTPTransport(uds=socket)
    async with httpx2.AsyncClient(transport=transport, timeout=30) as http:
        to = streamable_http_client(url, http_client=http)
        async with mcp.Client(
            to, mode=mode, elicitation_callback=asked, sampling_callback=sampled
        ) as client:
            tools = (await client.list_tools()).tools
            results: list[dict[str, Any]] = []
            for name, arguments in json.load(sys.stdin):
                try:
                    found = await client.call_tool(name, arguments)
                except mcp.MCPError as e:
                    results.append({"code": e.error.code})
                else:
                    texts = [one.text for one in found.content if one.type == "text"]
                    failed = bool(found.is_error)
                    results.append({"failed": failed, "text": "\n".join(texts)})
    names = [one.name for one in tools]
    print(json.dumps({"tools": names, "results": results}))


asyncio.run(main(*sys.argv[1:]))
