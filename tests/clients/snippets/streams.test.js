// docs/guides/llm-streams.md, live-html.md and embedding.md.

import { createServer } from "node:http";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, equal, ok, Skipped, temporaryFolder, test, until } from "../../browser/harness.js";
import { startHub } from "../../browser/hub.js";
import { openPage } from "../../browser/browser.js";
import * as ai from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { EventSource } from "eventsource";
import { python } from "../llm.js";
import { Page } from "./page.js";
import { finish, paste } from "./shell.js";

const runs = new Page("docs/guides/llm-streams.md");

/** What `generate` stands for on the page: a program that prints blocks of an event stream. */
const GENERATE = `generate() { printf 'data: %s\\n\\n' Streams that end; }\n`;

/** What the page leaves out of the application's scripts. */
const IMPORTS = "const { convertToModelMessages, DefaultChatTransport, streamText } = ai;\n";

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;

/** What a model says, as the AI SDK gets it. */
function parts(words) {
  const tokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0, text: 1, reasoning: 0 };
  const usage = { inputTokens: tokens, outputTokens: tokens };
  const deltas = words.map((delta) => ({ type: "text-delta", id: "t", delta }));
  const finish = { type: "finish", finishReason: { unified: "stop", raw: "stop" }, usage };
  const start = { type: "stream-start", warnings: [] };
  const all = [start, { type: "text-start", id: "t" }, ...deltas, { type: "text-end", id: "t" }];
  return ReadableStream.from([...all, finish]);
}

/** The events of a topic: type and data. */
async function history(hub, topic) {
  const headers = { accept: "application/json" };
  const answer = await fetch(`${hub.url}/events/${topic}?last=100`, { headers });
  return (await answer.json()).events.map(({ event, data }) => [event ?? "message", data]);
}

{
  const run = runs.run("# Stop, with the last words");
  test("snippets of docs/guides/llm-streams.md: a run begins, is read, and is over", async () => {
    const hub = await startHub();
    const printed = await finish(GENERATE + run, { port: hub.port });
    // What is read with `from=start`; the second reader gets 204: nothing is running.
    equal(printed.match(/^data: .*$/gm), ["data: Streams", "data: that", "data: end"]);
  });

  const will = runs.run("WILL=$(jq");
  test("snippets of docs/guides/llm-streams.md: a dead producer has a will", async () => {
    const hub = await startHub();
    const slow = `generate() { printf 'data: half\\n\\n'; sleep 60; }\nHUB=${hub.url}\n`;
    const replace = { "lost=30s": "lost=1s" };
    const producer = paste(slow + will, { port: hub.port, replace });
    await until("it has begun", async () => (await history(hub, "runs/8")).length === 1);
    await producer.stop();
    await until("its will", async () => (await history(hub, "runs/8")).length === 2);
    const [, [, last]] = await history(hub, "runs/8");
    equal(JSON.parse(last), { type: "error", errorText: "the server was lost" });
  });

  const keys = runs.run("append=m12").split("\n");
  test("snippets of docs/guides/llm-streams.md: an answer grows under a key", async () => {
    const hub = await startHub();
    const before = `HUB=${hub.url}\n`;
    const read = keys.find((line) => line.includes("from=state"));
    for (const line of keys) if (line !== read) await finish(before + line, { port: hub.port });
    const reader = paste(before + read, { port: hub.port });
    await until("the state", () => reader.said().includes("event: tidings.state"));
    const data = /^data: (.*"whole":true.*)$/m.exec(reader.said())[1];
    equal(JSON.parse(JSON.parse(data).data), { text: "The sky is blue", done: true });
  });
}

{
  const route = runs.run("streamText({ model");
  const page = runs.run("useChat({ id");
  test("snippets of docs/guides/llm-streams.md: the two halves of the AI SDK", async () => {
    const hub = await startHub();
    const said = ["Streams ", "that ", "end"];
    const model = new MockLanguageModelV4({ doStream: async () => ({ stream: parts(said) }) });
    const question = { id: "q1", role: "user", parts: [{ type: "text", text: "What are runs?" }] };
    const names = ["HUB", "id", "messages", "model", "authorization", "ai"];
    const ask = new AsyncFunction(...names, IMPORTS + route);
    const answer = await ask(hub.url, "7", [question], model, "", ai);
    await answer.text();
    const last = async () => (await history(hub, "chats/7/q1")).at(-1)?.[1];
    await until("the end", async () => (await last()) === "[DONE]");

    // A page that is loaded after the answer is over: 204, and nothing to show.
    const own = ["HUB", "id", "initialMessages", "authorization", "ai", "useChat"];
    const load = new Function(...own, IMPORTS + page.replace("useChat(", "return useChat("));
    const chat = load(hub.url, "7", [question], "", ai, (options) => options);
    const { api } = chat.transport.prepareReconnectToStreamRequest({ id: "7" });
    equal((await fetch(api)).status, 204);
    const whole = await (await fetch(api.replace("&if=open", ""))).text();
    const deltas = whole.match(/"delta":"[^"]*"/g).map((one) => JSON.parse(`{${one}}`).delta);
    equal(deltas, said);
  });
}

{
  const producer = runs.run("async def run(hub, topic, chunks)");
  test("snippets of docs/guides/llm-streams.md: a producer in Python", async () => {
    const hub = await startHub();
    const text = `
import asyncio, json, sys
import httpx
${producer}
async def words():
    for word in ["Streams", "that", "end"]:
        yield {"word": word}

async def main():
    async with httpx.AsyncClient(base_url=sys.argv[1]) as hub:
        print(await run(hub, "runs/9", words()), await run(hub, "runs/9", words()))

asyncio.run(main())
`;
    const folder = temporaryFolder();
    writeFileSync(join(folder, "run.py"), text);
    const command = `${python()} run.py ${hub.url}`;
    const printed = await finish(command, { port: hub.port, folder });
    // The second may be cut off before it reads its 412, and asks: the run is over.
    ok(/^200 (412|204)\n$/.test(printed), printed);
    const words = ["Streams", "that", "end"].map((word) => ["message", `{"word": "${word}"}`]);
    equal(await history(hub, "runs/9"), words);
  });

  const plain = runs.run("ReadableStream.from(lines())");
  const reader = runs.run('source.addEventListener("tidings.reset"');
  test("snippets of docs/guides/llm-streams.md: producer and reader with plain fetch", async () => {
    const hub = await startHub();
    const names = ["HUB", "run", "chunks", "model"];
    const produce = new AsyncFunction(...names, `${plain}return answer.status;`);
    const stopped = [];
    const model = { abort: () => stopped.push("aborted") };
    const words = async function* () {
      yield* ["Streams", "that", "end"];
    };
    equal(await produce(hub.url, "runs/10", words(), model), 200);
    equal(stopped, []);
    equal(await produce(hub.url, "runs/10", words(), model), 412, "a second time");
    equal(stopped, ["aborted"]);

    const shown = [];
    const output = { append: (data) => shown.push(data), replaceChildren: () => {} };
    const code = `${reader}return source;`;
    let end;
    const over = new Promise((resolve) => (end = resolve));
    const parts = [EventSource, hub.url, "runs/10", output, end, () => {}];
    const parameters = ["EventSource", "HUB", "run", "output", "done", "reload"];
    const source = new Function(...parameters, code)(...parts);
    after(() => source.close());
    await over;
    equal(shown, ["Streams", "that", "end"]);
  });
}
runs.complete();

const html = new Page("docs/guides/live-html.md");

/** The address of a page of its own, with the scripts that it names. */
async function startPage(site, scripts) {
  const server = createServer((request, response) => {
    const script = scripts[request.url];
    response.setHeader("content-type", script ? "text/javascript" : "text/html");
    response.end(script ?? site.text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

const bundle = (path) => readFileSync(new URL(`../node_modules/${path}`, import.meta.url), "utf8");
const TURBO = "@hotwired/turbo/dist/turbo.es2017-umd.js";

/** What the page publishes in the section of a library shows up in the page of HTML above it. */
function shows(library, markup, publish, scripts, { more = "", allowed = [] } = {}) {
  const [body, command] = [html.run(markup), publish && html.run(publish)];
  test(`snippets of docs/guides/live-html.md: ${library} shows what is published`, async () => {
    const page = await openPage();
    const site = { text: "" };
    const address = await startPage(site, scripts());
    const hub = await startHub(["--cors-origin", address, ...allowed]);
    site.text = `<!doctype html>${more}${body.replaceAll("https://hub.example", hub.url)}`;
    await page.goto(address);
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await finish(command ?? LINE, { port: hub.port });
    const shown = () => page.evaluate(() => document.querySelector("ul").textContent.trim());
    await until("it is shown", async () => (await shown()) === "new");
    equal(page.problems, []);
  });
}

const LINE = "curl -d '<li>new</li>' https://hub.example/events/boards/7";
shows("htmx 4", "hx-sse:connect=", "curl -d '<li>new</li>'", () => ({
  "/htmx.js": bundle("htmx.org/dist/htmx.js"),
  "/ext/hx-sse.js": bundle("htmx.org/dist/ext/hx-sse.js"),
}));
// The section has no publish of its own: it is the same as above.
shows(
  "htmx 2",
  "sse-connect=",
  undefined,
  () => ({
    "/htmx.js": bundle("htmx2/dist/htmx.js"),
    "/sse.js": bundle("htmx-ext-sse/sse.js"),
  }),
  { allowed: ["--cors-credentials"] }, // as the page says of it
);
shows(
  "Turbo",
  "<turbo-stream-source",
  "ITEM=",
  () => ({ "/turbo.js": bundle(TURBO) }),
  { more: '<script src="/turbo.js"></script>' },
);
shows(
  "Datastar",
  "data-init=",
  "printf 'selector #list",
  () => {
    const file = `${process.env.DATASTAR}/datastar.js`;
    if (!existsSync(file)) throw new Skipped("PyPI's starhtml could not be installed");
    const names = readdirSync(process.env.DATASTAR).filter((name) => name.endsWith(".js"));
    const read = (name) => readFileSync(`${process.env.DATASTAR}/${name}`);
    return Object.fromEntries(names.map((name) => [`/${name}`, read(name)]));
  },
  { more: '<script type="module" src="/datastar.js"></script>' },
);
html.complete();

const embedding = new Page("docs/guides/embedding.md");
embedding.elsewhere("MemoryStore::new", "crates/tidings-server/examples/axum.rs");
embedding.complete();
