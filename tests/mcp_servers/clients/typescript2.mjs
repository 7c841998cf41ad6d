// Version 2 of the TypeScript SDK: SOCKET URL MODE; see asked.py.

import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Agent, fetch } from "undici";

const [socketPath, url, version] = process.argv.slice(2);
const mode = version === "legacy" ? version : { pin: version };
const dispatcher = new Agent({ connect: { socketPath } });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  fetch: (input, init) => fetch(input, { ...init, dispatcher }),
});
const client = new Client(
  { name: "typescript2", version: "1" },
  { versionNegotiation: { mode } },
);
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
