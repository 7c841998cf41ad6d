// The official `@anthropic-ai/sdk` over the socket: prints one line of JSON for a case.
import Anthropic from "@anthropic-ai/sdk";
import { Agent } from "undici";

const { MODELPLEX_SOCKET: socketPath, MODEL: model } = process.env;
const dispatcher = new Agent({ connect: { socketPath } });
const client = new Anthropic({
  baseURL: "http://modelplex",
  apiKey: process.env.DUMMY,
  maxRetries: 0,
  fetchOptions: { dispatcher },
});
const messages = [{ role: "user", content: "Hi there" }];
const asked = { model, max_tokens: 100, messages };
const weather = {
  name: "weather",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};
const textOf = (message) =>
  message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

const cases = {
  async plain() {
    const reply = await client.messages.create(asked);
    const { input_tokens, output_tokens } = reply.usage;
    return { text: textOf(reply), tokens: input_tokens + output_tokens };
  },
  async streamed() {
    let pieces = 0;
    const stream = client.messages.stream(asked).on("text", () => pieces++);
    return { text: textOf(await stream.finalMessage()), pieces };
  },
  async tools() {
    const first = { ...asked, tools: [weather] };
    const message = await client.messages.stream(first).finalMessage();
    const results = message.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({
        type: "tool_result",
        tool_use_id: block.id,
        content: `weather of ${block.input.city}`,
      }));
    const history = [
      ...messages,
      { role: "assistant", content: message.content },
      { role: "user", content: results },
    ];
    const reply = await client.messages.create({ ...first, messages: history });
    return { text: textOf(reply) };
  },
  async models() {
    const page = await client.models.list();
    return { ids: page.data.map((entry) => entry.id) };
  },
  async unknown() {
    return await failed(client.messages.create({ ...asked, model: "nonesuch" }));
  },
  async refused() {
    return await failed(client.messages.create(asked));
  },
};

async function failed(asking) {
  try {
    await asking;
  } catch (e) {
    const { status, type } = e;
    return { name: e.constructor.name, status, code: type, message: e.message };
  }
}

try {
  console.log(JSON.stringify(await cases[process.argv[2]]()));
} finally {
  await dispatcher.close();
}
