// The clients of language models read runs from the hub, with a quiet time in the middle.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Client } from "@langchain/langgraph-sdk";
import { equal, ok, pause, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { python, read } from "./llm.js";

/** Several heartbeats long. */
const QUIET = 2_500;

const startQuietHub = () => startHub(["--heartbeat", "500ms", "--retry", "300ms"]);

async function stop(hub, topic, event, body) {
  const query = event ? `?event=${event}` : "";
  const answer = await fetch(`${hub.url}/events/${topic}${query}`, { method: "DELETE", body });
  equal(answer.status, 200, `ending ${topic}`);
}

const chunk = (content) =>
  JSON.stringify({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "none",
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  });

for (const [client, event, seen, last] of [
  ["openai", chunk, (n) => `${n}`, "[DONE]"],
  ["httpx-sse", (n) => JSON.stringify({ n }), (n) => ({ n: `${n}` }), '{"n":"last"}'],
]) {
  const sentence = `${client}: a plain stream has nothing but the publisher's events`;
  const fn = async () => {
    const hub = await startQuietHub();
    await hub.publish("runs/1", event("1"));
    const reader = read(client, `${hub.url}/events/runs/1?from=start&plain`);
    await until("the first", () => reader.events().length === 1);
    await pause(QUIET);
    await hub.publish("runs/1", event("2"));
    await until("the second", () => reader.events().length === 2);
    await stop(hub, "runs/1", undefined, last);
    equal(await reader.gone, 0, "exit code");
    const rest = client === "openai" ? [] : [seen("last")];
    equal(reader.events(), [seen(1), seen(2), ...rest]);
  };
  test(sentence, fn, { together: true });
}

/** Plays a run to a client of LangGraph, whose words for the end are `end` with null. */
async function playLangGraph(hub, events) {
  const topic = "threads/t1/runs/r1/stream";
  await until("it listens", async () => (await hub.subscribers()) === 1);
  await hub.publish(topic, '{"n":1}', { event: "values" });
  await until("the first", () => events().length === 1);
  await pause(QUIET);
  await hub.publish(topic, '{"n":2}', { event: "values" });
  await stop(hub, topic, "end", "null");
}

/** What LangGraph sees of a run: all but the hub's own first block. */
const own = (events) => events.filter(([event]) => !`${event}`.startsWith("tidings."));

const RUN = [["values", { n: 1 }], ["values", { n: 2 }]];
const withoutEnd = (events) => own(events).filter(([event]) => event !== "end");

test(
  "@langchain/langgraph-sdk: joinStream has a run to its end",
  async () => {
    const hub = await startQuietHub();
    const { runs } = new Client({ apiUrl: `${hub.url}/events` });
    const all = [];
    const over = (async () => {
      for await (const { event, data } of runs.joinStream("t1", "r1")) all.push([event, data]);
    })();
    await Promise.all([playLangGraph(hub, () => own(all)), over]);
    equal(withoutEnd(all), RUN);
  },
  { together: true },
);

test(
  "langgraph-sdk: join_stream has a run to its end",
  async () => {
    const hub = await startQuietHub();
    const reader = read("langgraph-sdk", `${hub.url}/events`);
    await playLangGraph(hub, () => own(reader.events()));
    equal(await reader.gone, 0, "exit code");
    equal(withoutEnd(reader.events()), RUN);
  },
  { together: true },
);

/** The text of a run, by the parts of its messages. */
const text = (events) =>
  events.filter(([event]) => event === "messages").map(([, [{ content }]]) => content).join("");

test("langgraph: a graph streams into the hub, and both SDKs join over a quiet time", async () => {
  const script = new URL("langgraph_run.py", import.meta.url).pathname;
  const interpreter = python();
  const hub = await startQuietHub();
  const reader = read("langgraph-sdk", `${hub.url}/events`);
  const { runs } = new Client({ apiUrl: `${hub.url}/events` });
  const joined = [];
  const join = async (all, options) => {
    for await (const { id, event, data } of runs.joinStream("t1", "r1", options)) {
      all.push([event, data, id]);
    }
  };
  const over = join(joined);
  await until("both listen", async () => (await hub.subscribers()) === 2);
  const words = [script, hub.url, "threads/t1/runs/r1/stream", `${QUIET / 1000}`];
  const run = promisify(execFile)(interpreter, words, { timeout: 50_000 });
  // A third comes in the quiet time, and has seen the first part before.
  await until("the first node is done", () => text(joined).endsWith("think. "));
  const late = [joined.find(([event]) => event === "values")];
  const lateIsOver = join(late, { lastEventId: late[0][2] });
  const { stdout } = await run;
  const said = JSON.parse(stdout).join("");
  await Promise.all([over, lateIsOver]);
  equal(await reader.gone, 0, "exit code of the reader in Python");
  equal(text(joined), said, "@langchain/langgraph-sdk");
  equal(text(reader.events()), said, "langgraph-sdk");
  equal(text(late), said, "who joined late");
  const last = (events) => events.filter(([event]) => event === "values").pop()[1].messages;
  for (const events of [joined, late, reader.events()]) {
    ok(last(events).length === 3, "the state at the end");
  }
});
