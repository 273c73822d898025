// The npm packages that bring EventSource to Node, on the hub's own API.

import { connect, createServer } from "node:net";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import EventSource2 from "eventsource2";
import { EventSource as EventSource3 } from "eventsource3";
import { after } from "../browser/harness.js";

const standard = (Source) => (url, hear) => {
  const source = new Source(url);
  source.onmessage = ({ data }) => hear(data);
  return source;
};

export const READERS = {
  "eventsource 2": standard(EventSource2),
  "eventsource 3": standard(EventSource3),
  "eventsource 5": standard(EventSource),
  "eventsource-client": (url, hear) =>
    createEventSource({ url, onMessage: ({ event, data }) => event || hear(data) }),
};

/** What a client hears at this address, until the test ends. */
export function listen(client, url) {
  const heard = [];
  const source = client(url, (data) => heard.push(data));
  after(() => source.close());
  return heard;
}

export const numbers = (last) => Array.from({ length: last }, (_, n) => `${n + 1}`);

export async function publish(hub, first, last) {
  for (let n = first; n <= last; n += 1) await hub.publish("news", `${n}`);
}

/** Passes bytes on to the hub, and counts the requests in them. */
export async function startRelay(hub) {
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
