// Silence after the end: whoever listened to a topic that has ended leaves the hub alone. All
// clients are watched side by side, in one wait.

import { equal, ok, pause, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { PAGE_CLIENTS, TOPIC, numbers as paragraphs, open } from "./page_clients.js";
import { READERS, listen, publish, startRelay } from "./readers.js";

/** How long a reader of an ended topic is watched. */
const SILENCE_MS = 30_000;

/** Time in which an EventSource comes back once, for its 204. */
const LAST_VISIT_MS = 1_500;

/** Requests of those that know no end: htmx 4 without a close attribute asks once a minute. */
const FOR_EVER = 1;

const watch = (name, most, fn) => {
  const within = `for ${SILENCE_MS / 1000} s once the topic has ended`;
  const sentence = most
    ? `at most ${most} request is sent ${within}`
    : `no request is sent ${within}`;
  test(`${name}: ${sentence}`, fn, { watch: true });
};

/** Watches the number of requests, which grows by `most` at most. */
async function silence(requests, most = 0) {
  await pause(LAST_VISIT_MS);
  const asked = requests();
  ok(asked >= 1 && asked <= 2, `${asked} requests until then`);
  await pause(SILENCE_MS);
  ok(requests() <= asked + most, `${requests() - asked} requests`);
}

/** The browser's own EventSource, closed by nobody. */
const EVENT_SOURCE = {
  name: "EventSource of Chromium",
  html: (address) => `<div id="list"></div><script>
    const list = document.querySelector("#list");
    const source = new EventSource("${address}");
    source.onmessage = ({ data }) => list.insertAdjacentHTML("beforeend", data);
  </script>`,
  event: (n) => ({ data: `<p>${n}</p>` }),
};

/** htmx 4, whose page does not say which event closes the stream. */
const [htmx4] = PAGE_CLIENTS;
const UNCLOSED = {
  ...htmx4,
  name: "htmx 4 without hx-sse:close",
  html: (address) => htmx4.html(address).replace(/ hx-sse:close="end"/, ""),
  most: FOR_EVER,
};

for (const client of [...PAGE_CLIENTS, UNCLOSED, EVENT_SOURCE]) {
  watch(client.name, client.most, async () => {
    const { hub, requests, publish, list } = await open(client);
    await publish(1, 1);
    await until("an event", async () => (await list()).length === 1);
    await hub.end(TOPIC);
    await until("the stream is over", async () => (await hub.subscribers()) === 0);
    await silence(() => requests.length, client.most);
    equal(await list(), paragraphs(1));
  });
}

for (const [name, client] of Object.entries(READERS)) {
  watch(name, 0, async () => {
    const hub = await startHub(["--retry", "300ms"]);
    const relay = await startRelay(hub);
    const heard = listen(client, `${relay.url}/events/news`);
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await publish(hub, 1, 1);
    await hub.end("news");
    await until("the stream is over", async () => (await hub.subscribers()) === 0);
    await silence(relay.requests);
    equal(heard, ["1"]);
  });
}
