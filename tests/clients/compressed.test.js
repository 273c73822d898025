// Streams that the hub compresses, as other people's clients read them: each event is there before
// the next is published, and the end is a clean one.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import { fetch as undiciFetch } from "undici";
import { Skipped, after, equal, ok, temporaryFolder, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

const COMPRESSED = ["--compression", "public", "--retry", "300ms"];

/** What was read so far: the coding of the stream, the data of its events, and how it ended. */
class Heard {
  coding;
  data = [];
  /** The problem, or nothing in quotes; undefined while the stream goes on. */
  end;

  line(line) {
    if (line.startsWith("data: ")) this.data.push(line.slice(6));
    const coding = line.match(/^(?:coding|content-encoding): (.+)$/i);
    if (coding) this.coding = coding[1];
  }
}

/** A program that prints the lines of the stream. */
function byProgram(program, ...words) {
  return (url, heard) => {
    const child = spawn(program, [...words, url], { stdio: ["ignore", "pipe", "pipe"] });
    after(() => child.kill("SIGKILL"));
    let [rest, problem] = ["", ""];
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (piece) => {
      const lines = (rest + piece).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) heard.line(line);
    });
    child.stderr.on("data", (piece) => (problem += piece));
    child.once("error", ({ message }) => (heard.end = message));
    child.once("close", (code) => (heard.end = code === 0 ? problem : `code ${code}: ${problem}`));
  };
}

/** The stream with a `fetch`. */
function byFetch(fetch) {
  return (url, heard) => {
    const stop = new AbortController();
    after(() => stop.abort());
    const read = async () => {
      const headers = { accept: "text/event-stream" };
      const response = await fetch(url, { headers, signal: stop.signal });
      heard.coding = response.headers.get("content-encoding");
      const decoder = new TextDecoder();
      let rest = "";
      for await (const bytes of response.body) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) heard.line(line);
      }
    };
    read().then(
      () => (heard.end = ""),
      (error) => (heard.end = `${error.message} ${error.cause ?? ""}`),
    );
  };
}

/** A `fetch` that writes the coding down. */
const noting = (heard) => async (url, init) => {
  const response = await fetch(url, init);
  heard.coding ??= response.headers.get("content-encoding");
  return response;
};

function byEventSource(url, heard) {
  const source = new EventSource(url, { fetch: noting(heard) });
  after(() => source.close());
  source.onmessage = ({ data }) => heard.data.push(data);
  source.addEventListener("end", () => {
    source.close();
    heard.end = "";
  });
}

function byEventSourceClient(url, heard) {
  const source = createEventSource({
    url,
    fetch: noting(heard),
    onMessage: ({ event, data }) => {
      if (!event) return heard.data.push(data);
      if (event === "end") {
        source.close();
        heard.end = "";
      }
    },
  });
  after(() => source.close());
}

function byPython(library) {
  return (url, heard) => {
    const python = process.env.PYTHON;
    if (!python) throw new Skipped("the Python packages could not be installed");
    const script = new URL("compressed.py", import.meta.url).pathname;
    return byProgram(python, "-W", "error", script, library)(url, heard);
  };
}

const CLIENTS = {
  "curl --compressed": byProgram("curl", "-sS", "-N", "-i", "--compressed", "--max-time", "50"),
  "node's fetch": byFetch(fetch),
  "undici's fetch": byFetch(undiciFetch),
  eventsource: byEventSource,
  "eventsource-client": byEventSourceClient,
  requests: byPython("requests"),
  httpx: byPython("httpx"),
  aiohttp: byPython("aiohttp"),
};

const event = (n) => JSON.stringify({ n, words: "to be or not to be, that is the question" });
const events = (last) => Array.from({ length: last }, (_, n) => event(n + 1));

for (const [name, open] of Object.entries(CLIENTS)) {
  const fn = async () => {
    const hub = await startHub(COMPRESSED);
    const publish = async (first, last) => {
      for (let n = first; n <= last; n += 1) await hub.publish("news", event(n));
    };
    await publish(1, 100);
    const heard = new Heard();
    open(`${hub.url}/events/news?from=start`, heard);
    const has = (count) =>
      until(`${count} events`, () => {
        if (heard.end && heard.data.length < count) throw new Error(`it ended: ${heard.end}`);
        return heard.data.length >= count;
      });
    await has(100);
    for (let n = 101; n <= 140; n += 1) {
      await publish(n, n);
      await has(n);
    }
    await publish(141, 300);
    await has(300);
    await hub.end("news");
    await until("the end", () => heard.end !== undefined);
    equal(heard.end, "", "complaints");
    equal(heard.coding, "gzip", "the coding");
    // The last one is the hub's own, `end`, which programs print as well.
    equal(heard.data.slice(0, 300), events(300));
  };
  test(`${name} reads a compressed stream event by event, and to its end`, fn, { together: true });
}

test("gzip and zlib find nothing wrong with a whole compressed stream", async () => {
  const hub = await startHub(COMPRESSED);
  for (let n = 1; n <= 50; n += 1) await hub.publish("news", event(n));
  const file = join(temporaryFolder(), "stream.gz");
  const words = ["-sS", "-N", "--max-time", "50", "-H", "accept-encoding: gzip", "-o", file];
  const curl = spawn("curl", [...words, `${hub.url}/events/news?from=start`], { stdio: "inherit" });
  after(() => curl.kill("SIGKILL"));
  const ended = new Promise((resolve) => curl.once("close", resolve));
  await until("it listens", async () => (await hub.subscribers()) === 1);
  for (let n = 51; n <= 150; n += 1) await hub.publish("news", event(n));
  await hub.end("news");
  equal(await ended, 0, "curl's exit code");
  execFileSync("gzip", ["-t", file], { timeout: 10_000 });
  const [bytes, text] = [readFileSync(file), gunzipSync(readFileSync(file)).toString()];
  const data = [...text.matchAll(/^data: (\{"n".*)$/gm)].map(([, data]) => data);
  equal(data, events(150));
  ok(bytes.length * 2 < text.length, `${bytes.length} bytes for ${text.length}`);
});
