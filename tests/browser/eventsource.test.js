// The hub as the browser's own EventSource sees it.

import { devtools, heard, listen, openPage } from "./browser.js";
import { equal, ok, pause, test, until } from "./harness.js";
import { startHub } from "./hub.js";

/** A page of the hub's origin on which nothing happens. */
const BLANK = "/healthz";

test("every event arrives once and in order over a crash and a restart of the hub", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  const page = await openPage(hub.url + BLANK);
  await listen(page, "/events/news");
  await until("open", async () => (await heard(page, "open")).length === 1);
  for (let n = 1; n <= 5; n += 1) await hub.publish("news", `${n}`);
  await until("five events", async () => (await heard(page)).length === 5);
  await hub.kill("SIGKILL");
  await hub.start();
  // The browser has not reconnected yet: it must find these in history.
  for (let n = 6; n <= 10; n += 1) await hub.publish("news", `${n}`);
  await until("ten events", async () => (await heard(page)).length >= 10);
  await hub.publish("news", "11");
  await until("the last", async () => (await heard(page)).includes("11"));
  equal(
    await heard(page),
    Array.from({ length: 11 }, (_, n) => `${n + 1}`),
  );
  equal(await heard(page, "tidings.reset"), [], "no reset");
});

test("blocks with only an id move the last event id, and dispatch no event", async () => {
  const hub = await startHub(["--retry", "300ms", "--heartbeat", "1s"]);
  const page = await openPage(hub.url + BLANK);
  const network = await devtools(page);
  await network.send("Network.enable");
  const sent = [];
  network.on("Network.requestWillBeSentExtraInfo", ({ headers }) => {
    const id = Object.entries(headers).find(([name]) => name.toLowerCase() === "last-event-id");
    if (id) sent.push(id[1]);
  });
  await listen(page, "/events/quiet");
  await until("open", async () => (await heard(page, "open")).length === 1);
  let last;
  for (let n = 0; n < 20; n += 1) last = await hub.publish("busy", `${n}`);
  await pause(1600); // a heartbeat, by now
  await hub.kill();
  await hub.start();
  await until("the browser to come back with an id", () => sent.length > 0);
  equal(sent[0], last, "the id of an event of another topic");
  equal(await heard(page), [], "no event");
});

test("a log that was replaced is announced as tidings.reset", async () => {
  const hub = await startHub(["--retry", "300ms", "--store", "memory"]);
  const page = await openPage(hub.url + BLANK);
  await listen(page, "/events/news");
  await until("open", async () => (await heard(page, "open")).length === 1);
  await hub.publish("news", "before");
  await until("an event", async () => (await heard(page)).length === 1);
  await hub.kill();
  await hub.start();
  const [reset] = await until("a reset", async () => {
    const resets = await heard(page, "tidings.reset");
    return resets.length && resets;
  });
  equal(JSON.parse(reset).reason, "replaced");
  await hub.publish("news", "after");
  await until("the next event", async () => (await heard(page)).includes("after"));
});

test("after DELETE the browser gets `end`, and no request comes from it after that", async () => {
  const hub = await startHub(["--retry", "200ms"]);
  const page = await openPage(hub.url + BLANK);
  let requests = 0;
  page.on("request", () => (requests += 1));
  await listen(page, "/events/job");
  await until("open", async () => (await heard(page, "open")).length === 1);
  await hub.publish("job", "half");
  await hub.end("job");
  await until("the end", async () => (await heard(page, "end")).length === 1);
  equal(await heard(page), ["half"]);
  await until("its stream's close", async () => (await hub.subscribers()) === 0);
  await pause(1500);
  equal(requests, 1, "requests");
  equal(await page.evaluate(() => window.source.readyState), 0, "a day's wait, which `close` ends");
});

test("a hub without room is tried again until there is some", async () => {
  const hub = await startHub(["--max-subscribers", "1", "--retry-refused", "300ms"]);
  const holder = new AbortController();
  const held = await fetch(`${hub.url}/events/x`, {
    signal: holder.signal,
    headers: { accept: "text/event-stream" },
  });
  equal(held.status, 200);
  const page = await openPage(hub.url + BLANK);
  await listen(page, "/events/x");
  await until("three tries", async () => (await heard(page, "error")).length >= 3);
  equal(await page.evaluate(() => window.source.readyState), 0, "connecting");
  holder.abort();
  await until(
    "room",
    async () =>
      (await hub.subscribers()) === 1 && page.evaluate(() => window.source.readyState === 1),
  );
  await hub.publish("x", "at last");
  await until("an event", async () => (await heard(page)).length === 1);
});

test("fields, types, several lines and other alphabets arrive as they were sent", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url + BLANK);
  await listen(page, "/events/a/b", { types: ["größe"] });
  await until("open", async () => (await heard(page, "open")).length === 1);
  const id = await hub.publish("a/b", "one\n two\n\nthree ⚡ 四", { event: "größe" });
  await until("it", async () => (await heard(page, "größe")).length === 1);
  const event = await page.evaluate(() => window.heard.find((one) => one.type === "größe"));
  equal(event, { type: "größe", data: "one\n two\n\nthree ⚡ 四", id });
  ok(id.includes(":"), "an id of the hub's making");
});
