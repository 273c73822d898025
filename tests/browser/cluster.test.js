// An EventSource behind a load balancer without stickiness, in front of three hubs on one log.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { heard, listen, openPage } from "./browser.js";
import {
  Skipped,
  after,
  equal,
  ok,
  temporaryFile,
  temporaryFolder,
  test,
  until,
} from "./harness.js";
import { startHub } from "./hub.js";
import { freePort } from "../ports.js";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Where `scripts/test-cluster --tools` puts a server, and where Debian has one. */
const SERVERS = [
  process.env.TIDINGS_NATS_SERVER,
  join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "tools/nats-server"),
  "/usr/sbin/nats-server",
];

test(
  "an EventSource behind a round-robin proxy misses nothing while two of three hubs are killed",
  async () => {
    const engine = await startEngine();
    const hubs = [];
    for (let n = 0; n < 3; n += 1) hubs.push(await startHub(["--retry", "300ms", ...engine]));
    const proxy = await startRoundRobin(hubs);
    const page = await openPage(`${proxy.url}/healthz`);
    await listen(page, "/events/news");
    await until("open", async () => (await heard(page, "open")).length === 1);
    let count = 0;
    const publishThrough = async (hub) => {
      for (let n = 0; n < 5; n += 1) await hub.publish("news", `${(count += 1)}`);
    };
    await publishThrough(hubs[0]);
    for (let turn = 0; turn < 2; turn += 1) {
      const seen = count;
      await until("all so far", async () => (await heard(page)).length === seen);
      const here = proxy.hubOfTheStream();
      await here.kill();
      await publishThrough(hubs.find((hub) => hub !== here));
      const there = await until("the stream elsewhere", () => {
        const hub = proxy.hubOfTheStream();
        return hub && hub !== here && hub;
      });
      ok(there !== here, "on another hub");
      await here.start();
      await publishThrough(here);
    }
    await until("all of them", async () => (await heard(page)).length >= count);
    equal(
      await heard(page),
      Array.from({ length: count }, (_, n) => `${n + 1}`),
    );
    equal(await heard(page, "tidings.reset"), [], "no reset");
  },
  { seconds: 120 },
);

/** Starts a NATS server, and returns the options of a hub on it. */
async function startEngine() {
  const program = SERVERS.find((path) => path && existsSync(path));
  if (!program) throw new Skipped("there is no nats-server: scripts/test-cluster --tools");
  const port = await freePort();
  const config = temporaryFile(
    "nats.conf",
    `listen: "127.0.0.1:${port}"\nmax_payload: 8MB\n` +
      `jetstream { store_dir: "${temporaryFolder()}" }\n`,
  );
  const child = spawn(program, ["-c", config], { stdio: "ignore" });
  after(() => child.kill("SIGKILL"));
  await until("the server", () => isListening(port));
  const url = `nats://127.0.0.1:${port}`;
  // One server is enough here; it is not killed.
  return ["--store", "nats", "--store-url", url, "--cluster-create", "--store-unsafe"];
}

/** A TCP proxy that gives each connection to the next hub that accepts it. */
async function startRoundRobin(hubs) {
  let turn = 0;
  /** The hub of each connection on which a stream was asked for. */
  const streams = new Map();
  const pass = (client, first, tries) => {
    if (tries === 0) return client.destroy();
    turn += 1;
    const hub = hubs[turn % hubs.length];
    const upstream = net.connect(hub.port, "127.0.0.1");
    let isOpen = false;
    upstream.once("connect", () => {
      isOpen = true;
      upstream.write(first);
      if (first.includes("text/event-stream")) streams.set(client, hub);
      client.on("data", (piece) => {
        if (piece.includes("text/event-stream")) streams.set(client, hub);
        upstream.write(piece);
      });
      client.resume();
      upstream.pipe(client);
    });
    upstream.once("error", () => (isOpen ? client.destroy() : pass(client, first, tries - 1)));
    upstream.once("close", () => isOpen && client.destroy());
    client.once("close", () => {
      streams.delete(client);
      upstream.destroy();
    });
  };
  const server = net.createServer((client) => {
    client.on("error", () => {});
    client.once("data", (first) => {
      client.pause();
      pass(client, first, hubs.length);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    hubOfTheStream: () => [...streams.values()].at(-1),
  };
}

function isListening(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
