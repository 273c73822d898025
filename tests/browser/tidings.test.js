// tidings.js: one connection for all tabs, and what happens to it.

import { connect, heard, openPage } from "./browser.js";
import { equal, ok, pause, test, until } from "./harness.js";
import { startHub, startHubWithKey } from "./hub.js";
import { startSite } from "./site.js";

const BLANK = "/healthz";

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => `${from + n}`);

test("seven tabs over HTTP/1.1 share one connection; of seven EventSources one waits", async () => {
  const hub = await startHub();
  const pages = [];
  for (let n = 0; n < 7; n += 1) {
    const page = await openPage(hub.url + BLANK);
    await connect(page, { topics: ["news"] });
    pages.push(page);
  }
  equal(await hub.subscribers(), 1, "connections");
  equal(await pages[0].evaluate(() => window.source.host), "shared");
  await hub.publish("news", "to all");
  for (const page of pages) await until("the event", async () => (await heard(page)).length === 1);
  for (const page of pages) await page.evaluate(() => window.source.close());
  await until("no connection", async () => (await hub.subscribers()) === 0);

  for (const page of pages) await page.evaluate(() => void new EventSource("/events/news"));
  await until("six", async () => (await hub.subscribers()) === 6);
  await pause(500);
  equal(await hub.subscribers(), 6, "plain EventSources");
});

test("the connection outlives the tab that opened it", async () => {
  const hub = await startHub();
  const first = await openPage(hub.url + BLANK);
  await connect(first, { topics: ["news"] });
  const second = await openPage(hub.url + BLANK);
  await connect(second, { topics: ["news"] });
  await first.close();
  await hub.publish("news", "still here");
  await until("the event", async () => (await heard(second)).length === 1);
  const { closes, subscribers } = await hub.stats();
  equal(
    [subscribers, Object.values(closes).reduce((a, b) => a + b)],
    [1, 0],
    "subscribers and closes",
  );
  await second.close();
  await until("the last tab takes it along", async () => (await hub.subscribers()) === 0);
});

test("a worker that dies is replaced, and nothing is missed or repeated", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url + BLANK);
  await connect(page, { topics: ["news"], patience: 1200 });
  const other = await openPage(hub.url + BLANK);
  await connect(other, { topics: ["news"], patience: 1200 });
  for (let n = 1; n <= 3; n += 1) await hub.publish("news", `${n}`);
  await until("three", async () => (await heard(other)).length === 3);
  const session = await page.context().newCDPSession(page);
  const { targetInfos } = await session.send("Target.getTargets");
  const workers = targetInfos.filter(({ type }) => type === "shared_worker");
  equal(workers.length, 1, "shared workers");
  await session.send("Target.closeTarget", { targetId: workers[0].targetId });
  await until("the connection is gone", async () => (await hub.subscribers()) === 0);
  for (let n = 4; n <= 6; n += 1) await hub.publish("news", `${n}`);
  for (const one of [page, other]) {
    await until("six events", async () => (await heard(one)).length >= 6);
    await until("resumed", async () => (await heard(one, "resumed")).length === 1);
  }
  await hub.publish("news", "7");
  for (const one of [page, other]) {
    await until("seven events", async () => (await heard(one)).includes("7"));
    equal(await heard(one), numbers(1, 7));
  }
  equal(await hub.subscribers(), 1, "connections");
});

test("a broken connection is reported as error and then resumed; a new log as reset", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  const page = await openPage(hub.url + BLANK);
  await connect(page, { topics: ["news"] });
  await hub.publish("news", "1");
  await until("one", async () => (await heard(page)).length === 1);
  await hub.kill();
  await hub.start();
  await hub.publish("news", "2");
  await until("resumed", async () => (await heard(page, "resumed")).length === 1);
  await until("two", async () => (await heard(page)).length === 2);
  const order = await page.evaluate(() => window.heard.map(({ type }) => type));
  equal([...new Set(order)], ["open", "message", "error", "resumed"]);

  const memory = await startHub(["--retry", "300ms", "--store", "memory"]);
  const reader = await openPage(memory.url + BLANK);
  await connect(reader, { topics: ["news"] });
  await memory.publish("news", "1");
  await until("one", async () => (await heard(reader)).length === 1);
  await memory.kill();
  await memory.start();
  const [reset] = await until("reset", async () => {
    const resets = await heard(reader, "reset");
    return resets.length && resets;
  });
  equal(reset.reason, "replaced");
  equal(await heard(reader, "resumed"), []);
});

test("a topic that ends closes the connection, and says so", async () => {
  const hub = await startHub(["--retry", "200ms"]);
  const page = await openPage(hub.url + BLANK);
  await connect(page, { topics: ["job"] });
  await hub.publish("job", "1");
  await hub.end("job");
  const [closed] = await until("closed", async () => {
    const all = await heard(page, "closed");
    return all.length && all;
  });
  equal(closed.reason, "ended");
  equal((await heard(page, "end")).length, 1);
  equal(await page.evaluate(() => window.source.readyState), 2);
});

test("a tab that joins later gets the history it asks for, and then live events", async () => {
  const hub = await startHub();
  const first = await openPage(hub.url + BLANK);
  await connect(first, { topics: ["news"] });
  for (let n = 1; n <= 5; n += 1) await hub.publish("news", `${n}`);
  await until("five", async () => (await heard(first)).length === 5);
  const second = await openPage(hub.url + BLANK);
  await connect(second, { topics: ["news"], last: 3 });
  // `open` says that the shared connection is; the last three are counted when the hub is asked.
  await until("three", async () => (await heard(second)).length === 3);
  await hub.publish("news", "6");
  await until("the live one", async () => (await heard(second)).includes("6"));
  equal(await heard(second), numbers(3, 6));
  equal(await heard(first), numbers(1, 6));
  equal(await hub.subscribers(), 1);
});

test("a token goes into the header of a fetch; a wrong one is rejected", async () => {
  const { hub, key } = await startHubWithKey(["--retry", "300ms"]);
  const page = await openPage(hub.url + BLANK);
  const requests = [];
  page.on("request", (request) => requests.push(request));
  await connect(page, { topics: ["news"], token: key, worker: "page" }, { types: ["alarm"] });
  await hub.publish("news", "two\nlines", { token: key });
  await hub.publish("news", "loud", { token: key, event: "alarm" });
  await until("both", async () => (await heard(page, "alarm")).length === 1);
  equal(await heard(page), ["two\nlines"]);
  const stream = requests.find((request) => request.url().includes("/events"));
  ok(!stream.url().includes(key), "no token in the address");
  equal((await stream.allHeaders()).authorization, `Bearer ${key}`);
  await hub.kill();
  await hub.start();
  await hub.publish("news", "after", { token: key });
  await until("it resumes", async () => (await heard(page)).includes("after"));
  equal((await heard(page, "resumed")).length, 1);

  const stranger = await openPage(hub.url + BLANK);
  await stranger.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.heard = [];
    const connection = connect("", { topics: ["news"], token: () => "not-the-key" });
    let asked = 0;
    connection.addEventListener("closed", ({ detail }) =>
      window.heard.push({ type: "closed", data: detail }),
    );
    window.again = connect("", {
      topics: ["news"],
      token: () => (asked++ ? undefined : "not-the-key"),
    });
    window.again.addEventListener("closed", ({ detail }) =>
      window.heard.push({ type: "closed", data: detail }),
    );
  });
  const closed = await until("refused", async () => {
    const all = await heard(stranger, "closed");
    return all.length && all;
  });
  equal([closed[0].reason, closed[0].status], ["refused", 401]);
});

test("where there is no shared worker, a dedicated worker or the page is used", async () => {
  const hub = await startHub();
  for (const worker of ["dedicated", "page"]) {
    const page = await openPage(hub.url + BLANK);
    await connect(page, { topics: ["news"], worker });
    equal(await page.evaluate(() => window.source.host), worker);
    await hub.publish("news", worker);
    await until("the event", async () => (await heard(page)).includes(worker));
    await page.close();
  }
});

test("imported by a page of another origin it runs in a worker of that page", async () => {
  const site = await startSite();
  const hub = await startHub(["--cors-origin", site]);
  const page = await openPage(site);
  await connect(page, { topics: ["news"] }, { hub: hub.url });
  equal(await page.evaluate(() => window.source.host), "dedicated");
  await hub.publish("news", "across");
  await until("the event", async () => (await heard(page)).length === 1);
});
