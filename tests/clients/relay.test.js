// A chat stream in the format of OpenAI's API, relayed into the hub as a run by `tidings relay
// --end`, and read there by PyPI's `openai` over `?plain`.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { after, equal, ok, temporaryFile, test, until } from "../browser/harness.js";
import { PROGRAM, startHub } from "../browser/hub.js";
import { read } from "./llm.js";

const KEY = "sk-of-the-tests";
const PROMPT = { model: "none", stream: true, messages: [{ role: "user", content: "Say it" }] };
const WORDS = ["Streams", " that", " end", " survive", " a", " reload"];

/**
 * A server of `POST /v1/chat/completions`. It says a word for each `next()`, and ends after the
 * last; or begins and breaks off.
 */
async function startModel() {
  const model = { asked: [], next: () => {}, gone: false };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { authorization, "content-type": type } = request.headers;
    model.asked.push([request.method, request.url, authorization, type, JSON.parse(body)]);
    response.on("close", () => (model.gone = true));
    response.writeHead(200, { "content-type": "text/event-stream" });
    let said = 0;
    const send = (delta, finish_reason = null) => {
      const choices = [{ index: 0, delta, finish_reason }];
      const object = "chat.completion.chunk";
      const chunk = { id: "c", object, created: 1, model: "none", choices };
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    send({ role: "assistant", content: "" });
    model.next = () => {
      if (said < WORDS.length) return send({ content: WORDS[said++] });
      send({}, "stop");
      response.end("data: [DONE]\n\n");
    };
    model.breakOff = () => response.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  model.url = `http://127.0.0.1:${server.address().port}/v1/chat/completions`;
  return model;
}

function relay(hub, model, options = []) {
  const headers = `Authorization: Bearer ${KEY}\nContent-Type: application/json\n`;
  const files = {
    headers: temporaryFile("headers", headers),
    prompt: temporaryFile("prompt.json", JSON.stringify(PROMPT)),
  };
  const words = ["--method", "POST", "-H", `@${files.headers}`, "-d", `@${files.prompt}`];
  const env = { ...process.env, TIDINGS_URL: hub.url };
  const all = ["relay", model.url, "runs/1", "--end", ...words, ...options];
  const child = spawn(PROGRAM, all, { env, stdio: ["ignore", "ignore", "pipe"] });
  after(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (piece) => (said += piece));
  const gone = new Promise((resolve) => child.once("exit", (code) => resolve({ code, said })));
  return { gone };
}

/** The words that a client of OpenAI has read. */
const words = (reader) => reader.events().filter(Boolean);

test("openai: a chat stream that `tidings relay --end` relays is read from the hub", async () => {
  const hub = await startHub(["--heartbeat", "300ms"]);
  const model = await startModel();
  const { gone } = relay(hub, model);
  await until("the model is asked", () => model.asked.length === 1);
  equal(model.asked[0], [
    "POST", "/v1/chat/completions", `Bearer ${KEY}`, "application/json", PROMPT,
  ]);
  const reader = read("openai", `${hub.url}/events/runs/1?from=start&plain`);
  for (let n = 1; n <= WORDS.length; n += 1) {
    model.next();
    await until(`word ${n}`, () => words(reader).length === n);
  }
  model.next();
  const { code, said } = await gone;
  equal(code, 0, said);
  equal(await reader.gone, 0, "exit code of the reader");
  equal(words(reader), WORDS);
  // A late reader gets the same, and a second relay sends no request.
  const late = read("openai", `${hub.url}/events/runs/1?from=start&plain`);
  equal(await late.gone, 0, "exit code of the late reader");
  equal(words(late), WORDS);
  const again = await relay(hub, model).gone;
  equal(again.code, 5, again.said);
  equal(model.asked.length, 1, "questions to the model");
});

test("openai: Stop on the hub closes the connection of the relay to the model", async () => {
  const hub = await startHub();
  const model = await startModel();
  const { gone } = relay(hub, model);
  await until("the model is asked", () => model.asked.length === 1);
  const reader = read("openai", `${hub.url}/events/runs/1?from=start&plain`);
  model.next();
  await until("a word", () => words(reader).length === 1);
  await fetch(`${hub.url}/events/runs/1`, { method: "DELETE", body: "[DONE]" });
  const { code, said } = await gone;
  equal(code, 5, said);
  ok(said.includes("somebody has ended the topic"), said);
  await until("the model is left", () => model.gone);
  equal(await reader.gone, 0, "exit code of the reader");
  equal(words(reader), WORDS.slice(0, 1));
});

test("openai: a chat stream that breaks off ends with the relay's will", async () => {
  const hub = await startHub();
  const model = await startModel();
  const will = JSON.stringify({ error: { message: "the model was lost" } });
  const { gone } = relay(hub, model, ["--will", will, "--lost", "100ms"]);
  await until("the model is asked", () => model.asked.length === 1);
  const reader = read("openai", `${hub.url}/events/runs/1?from=start&plain`);
  model.next();
  await until("a word", () => words(reader).length === 1);
  model.breakOff();
  const { code, said } = await gone;
  equal(code, 1, said);
  // The package raises what stands under `error`.
  ok((await reader.gone) > 0, "exit code of the reader");
  equal(words(reader), WORDS.slice(0, 1));
});
