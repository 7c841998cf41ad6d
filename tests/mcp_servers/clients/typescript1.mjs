// Version 1 of the TypeScript SDK: SOCKET URL; see asked.py.

import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Agent, fetch } from "undici";

const [socketPath, url] = process.argv.slice(2);
const dispatcher = new Agent({ connect: { socketPath } });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  fetch: (input, init) => fetch(input, { ...init, dispatcher }),
});
const client = new Client({ name: "typescript1", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const results = [];
for (const [name, given] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const { content, isError } = await client.callTool({ name, arguments: given });
    const text = content.filter((one) => one.type === "text").map((one) => one.text);
    results.push({ failed: isError === true, text: text.join("\n") });
  } catch (error) {
    if (typeof error.code !== "number") throw error;
    results.push({ code: error.code });
  }
}
console.log(JSON.stringify({ tools: tools.map((one) => one.name), results }));
await client.close();
await dispatcher.destroy();
