// Publishes numbered events while every connection of one subscriber is cut again and again, and
// counts which of them have reached it when it is over.
//
//     node measure.js --client eventsource --url http://127.0.0.1:3000/events/cuts \
//         [--seconds 60] [--every 2] [--rate 20] [--publish-url URL] [--publish-header 'N: V']...
//         [--publish-body '{data}']
//
// Clients, as they come: `eventsource` and `socket.io` from npm, in this process; `chromium` and
// `chromium-socket.io`, in Chromium. They reach the server through a proxy on loopback that resets
// whatever is connected, every two seconds; the publisher does not. Afterwards nothing is cut
// any more, and the client has time to fetch what it missed.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createConnection, createServer } from "node:net";
import { parseArgs } from "node:util";

const SETTLE_MS = 15_000;
const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"];

const { values: given } = parseArgs({
  options: {
    client: { type: "string" },
    url: { type: "string" },
    seconds: { type: "string", default: "60" },
    every: { type: "string", default: "2" },
    rate: { type: "string", default: "20" },
    "publish-url": { type: "string" },
    "publish-header": { type: "string", multiple: true, default: [] },
    "publish-body": { type: "string", default: "{data}" },
  },
});

/** A proxy to a server that knows its connections. */
async function startProxy({ hostname, port }) {
  const sockets = new Set();
  const server = createServer((socket) => {
    const upstream = createConnection(port, hostname);
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${server.address().port}`,
    cut() {
      const count = sockets.size / 2;
      for (const socket of sockets) socket.resetAndDestroy();
      return count;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}

/** The number that an event carries, wherever a server has put its text. */
const numberIn = (text) => Number(/~(\d+)~/.exec(`${text}`)?.[1]);

async function eventsource(url, hear) {
  const { EventSource } = await import("eventsource");
  const source = new EventSource(url);
  source.onmessage = ({ data }) => hear(data);
  return () => source.close();
}

async function socketio(url, hear) {
  const { io } = await import("socket.io-client");
  const { origin, pathname } = new URL(url);
  const socket = io(origin, { query: { room: pathname.split("/").pop() } });
  socket.on("event", hear);
  return () => socket.close();
}

/** Runs a script in a page of the server's own origin, which the browser gets from here. */
async function inChromium(url, hear, script) {
  const { chromium } = await import("playwright-core");
  const executablePath = BROWSERS.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Chromium: install it, or set CHROMIUM");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  const body = "<!doctype html><title>cuts</title>";
  await page.route("**/page.html", (route) => route.fulfill({ contentType: "text/html", body }));
  await page.exposeFunction("hear", hear);
  await page.goto(new URL("/page.html", url).href);
  await script(page);
  return () => browser.close();
}

const chromium = (url, hear) =>
  inChromium(url, hear, (page) =>
    page.evaluate((url) => {
      window.source = new EventSource(url);
      window.source.onmessage = ({ data }) => window.hear(data);
    }, url),
  );

const chromiumSocketio = (url, hear) =>
  inChromium(url, hear, async (page) => {
    const file = createRequire(import.meta.url).resolve("socket.io-client/dist/socket.io.js");
    await page.addScriptTag({ content: readFileSync(file, "utf8") });
    await page.evaluate((url) => {
      const { origin, pathname } = new URL(url);
      window.socket = window.io(origin, { query: { room: pathname.split("/").pop() } });
      window.socket.on("event", window.hear);
    }, url);
  });

const CLIENTS = {
  eventsource,
  chromium,
  "socket.io": socketio,
  "chromium-socket.io": chromiumSocketio,
};

const headers = Object.fromEntries(
  given["publish-header"].map((line) => {
    const at = line.indexOf(":");
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }),
);

async function publish(number) {
  const fill = (text) => text.replaceAll("{topic}", "cuts").replaceAll("{data}", `~${number}~`);
  const address = fill(given["publish-url"] ?? given.url);
  const body = fill(given["publish-body"]);
  const answer = await fetch(address, { method: "POST", headers, body });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`publishing: status ${answer.status}`);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const url = new URL(given.url.replaceAll("{topic}", "cuts"));
const proxy = await startProxy(url);
url.host = proxy.host;
const times = new Map(); // by number: how often it was heard
const close = await CLIENTS[given.client](url.href, (text) => {
  const number = numberIn(text);
  times.set(number, (times.get(number) ?? 0) + 1);
});

// It counts from the first event that it hears.
let first = 0;
const deadline = Date.now() + 20_000;
while (times.size === 0) {
  if (Date.now() > deadline) throw new Error(`${given.client} hears nothing`);
  first += 1;
  await publish(first);
  await pause(200);
}
times.clear();

let [cuts, last] = [0, first];
const cutter = setInterval(() => (cuts += proxy.cut()), 1000 * Number(given.every));
const [began, seconds] = [Date.now(), Number(given.seconds)];
while (Date.now() - began < 1000 * seconds) {
  last += 1;
  await publish(last);
  await pause(Math.max(0, began + (1000 * (last - first)) / Number(given.rate) - Date.now()));
}
clearInterval(cutter);
const count = last - first;
const numbers = Array.from({ length: count }, (_, n) => first + 1 + n);
const missing = () => numbers.filter((number) => !times.has(number));
const end = Date.now() + SETTLE_MS;
while (missing().length > 0 && Date.now() < end) await pause(100);

let twice = 0;
for (const [number, heard] of times) if (number > first) twice += heard - 1;
const lost = missing().length;
console.log(JSON.stringify({ published: count, cuts, lost, twice, share: 1 - lost / count }));
await close();
proxy.close();
process.exit(0);
