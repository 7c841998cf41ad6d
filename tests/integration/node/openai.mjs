// The official `openai` package over the socket: prints one line of JSON for a case.
import OpenAI, { toFile } from "openai";
import { Agent } from "undici";

const { MODELPLEX_SOCKET: socketPath, MODEL: model } = process.env;
const dispatcher = new Agent({ connect: { socketPath } });
const client = new OpenAI({
  baseURL: "http://modelplex/v1",
  apiKey: process.env.DUMMY,
  maxRetries: 0,
  fetchOptions: { dispatcher },
});
const messages = [{ role: "user", content: "Hi there" }];
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};

const cases = {
  async plain() {
    const reply = await client.chat.completions.create({ model, messages });
    return { text: reply.choices[0].message.content, tokens: reply.usage.total_tokens };
  },
  async streamed() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    const pieces = [];
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "");
    return { text: pieces.join(""), pieces: pieces.length };
  },
  async tools() {
    const asked = { model, messages, tools: [weather] };
    const stream = client.chat.completions.stream(asked);
    const { message } = (await stream.finalChatCompletion()).choices[0];
    const { role, content, tool_calls } = message;
    const results = tool_calls.map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: `weather of ${JSON.parse(call.function.arguments).city}`,
    }));
    const history = [...messages, { role, content, tool_calls }, ...results];
    const reply = await client.chat.completions.create({ ...asked, messages: history });
    return { text: reply.choices[0].message.content };
  },
  async transcription() {
    const file = await toFile(Buffer.alloc(3_000_000), "ü.mp3", { type: "audio/mpeg" });
    return client.audio.transcriptions.create({ file, model, prompt: "größe" });
  },
  async responses() {
    const stream = client.responses.stream({ model, input: "Hi there" });
    let deltas = "";
    for await (const event of stream)
      if (event.type === "response.output_text.delta") deltas += event.delta;
    return { text: (await stream.finalResponse()).output_text, deltas };
  },
  async models() {
    const page = await client.models.list();
    return { ids: page.data.map((entry) => entry.id) };
  },
  async unknown() {
    return await failed(client.chat.completions.create({ model: "nonesuch", messages }));
  },
  async refused() {
    return await failed(client.chat.completions.create({ model, messages }));
  },
};

async function failed(asking) {
  try {
    await asking;
  } catch (e) {
    const { status, code } = e;
    return { name: e.constructor.name, status, code, message: e.message };
  }
}

try {
  console.log(JSON.stringify(await cases[process.argv[2]]()));
} finally {
  await dispatcher.close();
}
