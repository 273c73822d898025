// The npm packages that bring EventSource to Node, on the hub's own API.

import { connect, createServer } from "node:net";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import EventSource2 from "eventsource2";
import { EventSource as EventSource3 } from "eventsource3";
import { after, equal, ok, pause, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

/** How long a reader of an ended topic is watched. */
const SILENCE = 5_000;

const standard = (Source) => (url, hear) => {
  const source = new Source(url);
  source.onmessage = ({ data }) => hear(data);
  return source;
};

const CLIENTS = {
  "eventsource 2": standard(EventSource2),
  "eventsource 3": standard(EventSource3),
  "eventsource 5": standard(EventSource),
  "eventsource-client": (url, hear) =>
    createEventSource({ url, onMessage: ({ event, data }) => event || hear(data) }),
};

/** What a client hears at this address, until the test ends. */
function listen(client, url) {
  const heard = [];
  const source = client(url, (data) => heard.push(data));
  after(() => source.close());
  return heard;
}

const numbers = (last) => Array.from({ length: last }, (_, n) => `${n + 1}`);

async function publish(hub, first, last) {
  for (let n = first; n <= last; n += 1) await hub.publish("news", `${n}`);
}

for (const [name, client] of Object.entries(CLIENTS)) {
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const sentence = `${name}: every event is heard once over ${signal} of the hub`;
    const fn = async () => {
      const hub = await startHub(["--retry", "300ms"]);
      const heard = listen(client, `${hub.url}/events/news`);
      await until("it listens", async () => (await hub.subscribers()) === 1);
      await publish(hub, 1, 5);
      await until("five events", () => heard.length === 5);
      await hub.kill(signal);
      await hub.start();
      await publish(hub, 6, 10);
      await until("ten events", () => heard.length >= 10, 20_000);
      equal(heard, numbers(10));
    };
    test(sentence, fn, { together: true });
  }

  const sentence = `${name}: no request is sent for ${SILENCE / 1000} s once the topic has ended`;
  const fn = async () => {
    const hub = await startHub(["--retry", "300ms"]);
    const relay = await startRelay(hub);
    const heard = listen(client, `${relay.url}/events/news`);
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await publish(hub, 1, 1);
    await hub.end("news");
    await until("the stream is over", async () => (await hub.subscribers()) === 0);
    await pause(1500); // it comes back once, for its 204
    const asked = relay.requests();
    ok(asked >= 1 && asked <= 2, `${asked} requests until then`);
    await pause(SILENCE);
    equal(relay.requests(), asked, "requests");
    equal(heard, ["1"]);
  };
  test(sentence, fn, { together: true });
}

/** Passes bytes on to the hub, and counts the requests in them. */
async function startRelay(hub) {
  let requests = 0;
  const server = createServer((client) => {
    const upstream = connect(hub.port, "127.0.0.1");
    client.on("data", (bytes) => (requests += `${bytes}`.split("GET /events/").length - 1));
    client.pipe(upstream).pipe(client);
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}`, requests: () => requests };
}
