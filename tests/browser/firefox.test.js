// The same promises in another engine, where there is a Firefox: Debian's firefox-esr will do.

import { connect, heard, listen } from "./browser.js";
import { openFirefox } from "./firefox.js";
import { equal, pause, test, until } from "./harness.js";
import { startHub } from "./hub.js";

test("Firefox: every event arrives once and in order over a restart of the hub", async () => {
  const open = await openFirefox();
  const hub = await startHub(["--retry", "300ms"]);
  const page = await open(`${hub.url}/tidings.d.ts`);
  let requests = 0;
  page.on("request", (request) => (requests += request.url().includes("/events/") ? 1 : 0));
  await listen(page, "/events/news", { types: ["alarm"] });
  await until("open", async () => (await heard(page, "open")).length === 1);
  await hub.publish("news", "1");
  await until("one", async () => (await heard(page)).length === 1);
  await hub.kill();
  await hub.start();
  await hub.publish("news", "2");
  await hub.publish("news", "loud", { event: "alarm" });
  await until("the alarm", async () => (await heard(page, "alarm")).length === 1);
  equal(await heard(page), ["1", "2"]);
  await hub.end("news");
  await until("the end", async () => (await heard(page, "end")).length === 1);
  await until("its stream's close", async () => (await hub.subscribers()) === 0);
  const asked = requests;
  await pause(1500);
  equal(requests, asked, "requests after the end");
});

test("Firefox: tabs share one connection with tidings.js, and the console moves", async () => {
  const open = await openFirefox();
  const hub = await startHub();
  const pages = [];
  for (let n = 0; n < 3; n += 1) {
    pages.push(await open(`${hub.url}/tidings.d.ts`));
    await connect(pages[n], { topics: ["three"] });
  }
  equal(await pages[0].evaluate(() => window.source.host), "shared");
  equal(await hub.subscribers(), 1, "connections");
  await hub.publish("three", "to all");
  for (const page of pages) await until("the event", async () => (await heard(page)).length === 1);
  const console_ = await open(hub.url);
  const first = () =>
    console_.evaluate(() => document.querySelector("#rows tr:not(.note)")?.textContent);
  const row = await until("the event of before", first);
  await hub.publish("three", "one more");
  await until("the next", async () => (await first()) !== row);
});
