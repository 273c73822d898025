// tidings-state.js: the state of topics as a live map, against a real hub.

import { openPage } from "./browser.js";
import { equal, ok, test, until } from "./harness.js";
import { startHub } from "./hub.js";
import { entriesOf, state } from "../../crates/tidings-web/assets/npm/tidings-state.js";

/** A page of the hub with a state in `window.live`, and in `window.changes` what it says. */
async function open(hub, options) {
  const page = await openPage(`${hub.url}/docs/api`);
  await page.evaluate(async (options) => {
    const { state } = await import("/tidings-state.js");
    window.changes = [];
    window.live = state("", options);
    window.live.addEventListener("change", ({ detail: { key, value, topic } }) => {
      window.changes.push([key, value ?? null, topic, window.live.size]);
    });
    await window.live.ready;
  }, options);
  return page;
}

const entries = (page) => page.evaluate(() => [...window.live].sort());
const changes = (page) => page.evaluate(() => window.changes.map(([key, value]) => [key, value]));
const heard = (page, count) => until("changes", async () => (await changes(page)).length >= count);

test("state: it is complete when it is ready, and live after that", async () => {
  const hub = await startHub();
  // More than a page of history, and more than one value of most keys.
  for (let n = 0; n < 1500; n += 1) await hub.publish("stocks", `${n}`, { key: `K${n % 1100}` });
  await hub.removeKey("stocks", "K7");
  const page = await open(hub, { topics: "stocks" });
  equal(await page.evaluate(() => [window.live.size, window.changes.length]), [1099, 0]);
  const some = (key) => page.evaluate((key) => window.live.get(key) ?? null, key);
  equal([await some("K0"), await some("K399"), await some("K400")], ["1100", "1499", "400"]);
  equal(await page.evaluate(() => window.live.has("K7")), false);
  // A tab that comes later shares the stream, and reads the state as history.
  const later = await open(hub, { topics: "stocks" });
  equal(await later.evaluate(() => window.live.size), 1099);
  equal(await hub.subscribers(), 1);
  await hub.publish("stocks", "new", { key: "K0" });
  await hub.removeKey("stocks", "K1");
  await hub.publish("stocks", "", { key: "K7" });
  for (const one of [page, later]) {
    await heard(one, 3);
    const said = [["K0", "new"], ["K1", null], ["K7", ""]]; // prettier-ignore
    equal(await changes(one), said);
    equal(await one.evaluate(() => window.live.size), 1099);
  }
});

test("state: over kill -9 it has what changed meanwhile, and what was removed", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  for (const key of ["a", "b", "c"]) await hub.publish("t", "1", { key });
  const page = await open(hub, { topics: "t" });
  await hub.kill();
  await hub.start();
  await hub.publish("t", "2", { key: "a" });
  await hub.removeKey("t", "b");
  await hub.publish("t", "1", { key: "d" });
  await heard(page, 3);
  const now = [["a", "2", "t"], ["c", "1", "t"], ["d", "1", "t"]]; // prettier-ignore
  equal(await entries(page), now);
  const said = [["a", "2"], ["b", null], ["d", "1"]]; // prettier-ignore
  equal((await changes(page)).sort(), said);
});

test("state: after a reset it is another at once, and never half of one", async () => {
  const hub = await startHub(["--store", "memory", "--retry", "300ms"]);
  for (const key of ["a", "b", "c"]) await hub.publish("t", "old", { key });
  const page = await open(hub, { topics: "t" });
  await hub.kill();
  await hub.start();
  await hub.publish("t", "old", { key: "a" });
  await hub.publish("t", "new", { key: "b" });
  await until("the new state", async () => (await entries(page)).length === 2);
  equal(await entries(page), [["a", "old", "t"], ["b", "new", "t"]]); // prettier-ignore
  // Only what differs is a change, and whenever one was said, nothing was missing.
  equal((await changes(page)).sort(), [["b", "new"], ["c", null]]); // prettier-ignore
  ok(
    await page.evaluate(() => window.changes.every(([, , , size]) => size >= 2)),
    "it was never empty",
  );
});

test("state: values grow by pieces, as text and in their JSON, over a restart, too", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  await hub.publish("chat", '{"text":"The sky","done":false}', { key: "m1" });
  await hub.publish("chat", '{"text":" is","done":false}', { append: "m1", at: "/text" });
  const page = await open(hub, { topics: "chat" });
  equal(await entries(page), [["m1", '{"text":"The sky is","done":false}', "chat"]]);
  await hub.publish("chat", '{"text":" “blue”","done":true}', { append: "m1", at: "/text" });
  await hub.publish("chat", "one", { append: "log" });
  await hub.publish("chat", " two", { append: "log" });
  await heard(page, 3);
  const grown = '{"text":"The sky is “blue”","done":true}';
  const logs = ["one", "one two"].map((text) => ["log", text]);
  equal(await changes(page), [["m1", grown], ...logs]);
  await hub.kill();
  await hub.start();
  await hub.publish("chat", " three", { append: "log" });
  await heard(page, 4);
  await hub.publish("chat", " four", { append: "log" });
  await heard(page, 5);
  equal(await entries(page), [["log", "one two three four", "chat"], ["m1", grown, "chat"]]);
});

test("state: several topics and patterns have a state each; an erased one is empty", async () => {
  const hub = await startHub();
  await hub.publish("stocks", "1", { key: "A" });
  await hub.publish("fx/eur", "2", { key: "A" });
  await hub.publish("fx/usd", "3");
  const page = await open(hub, { topics: ["stocks", "fx/*"], multiplex: true });
  const all = [["", "3", "fx/usd"], ["A", "1", "stocks"], ["A", "2", "fx/eur"]]; // prettier-ignore
  equal(await entries(page), all);
  equal(await page.evaluate(() => window.live.get("A", "fx/eur")), "2");
  const asked = page.evaluate(() => {
    try {
      return window.live.get("A");
    } catch (error) {
      return error.message;
    }
  });
  equal(await asked, "state: of several topics, say which one");
  await hub.publish("fx/usd", "4");
  const erased = await fetch(`${hub.url}/events/stocks?erase`, { method: "DELETE" });
  equal(erased.status, 200);
  await heard(page, 2);
  equal(await entries(page), [["", "4", "fx/usd"], ["A", "2", "fx/eur"]]); // prettier-ignore
});

test("state: it begins with a page, and a rejection or an end is said", async () => {
  const hub = await startHub();
  await hub.publish("t", "1", { key: "a" });
  await hub.publish("t", "1", { key: "b" });
  const accept = { headers: { accept: "application/json" } };
  const first = await (await fetch(`${hub.url}/events/t?from=state`, accept)).json();
  await hub.publish("t", "2", { key: "a" });
  await hub.removeKey("t", "b");
  const page = await openPage(`${hub.url}/docs/api`);
  const begun = await page.evaluate(async (first) => {
    const { state } = await import("/tidings-state.js");
    window.live = state("", { topics: "t", page: first, parse: Number });
    return [window.live.isReady, [...window.live]];
  }, first);
  equal(begun, [true, [["a", 1, "t"], ["b", 1, "t"]]]); // prettier-ignore
  await until("what changed", async () => (await entries(page)).length === 1);
  equal(await entries(page), [["a", 2, "t"]]);
  const wrong = page.evaluate(async () => {
    const { state } = await import("/tidings-state.js");
    return state("", { topics: "a/**/b" }).ready.catch((error) => error.cause.status);
  });
  equal(await wrong, 400);
  const over = page.evaluate(
    () => new Promise((resolve) => window.live.addEventListener("closed", resolve)).then(
      ({ detail }) => [detail.reason, [...window.live]],
    ),
  );
  await hub.end("t");
  equal(await over, ["ended", [["a", 2, "t"]]]);
});

test("state: of topics that have ended, a page holds what a stream brings", async () => {
  const hub = await startHub();
  for (const topic of ["a", "b"]) {
    await hub.publish(topic, "first");
    await hub.publish(topic, "1", { key: "k" });
  }
  const last = await fetch(`${hub.url}/events/a`, { method: "DELETE", body: "last" });
  equal(last.status, 200);
  await hub.end("b");
  const topics = ["a", "b"];
  const values = [["", "first", "b"], ["", "last", "a"]]; // prettier-ignore
  const expected = [...values, ["k", "1", "a"], ["k", "1", "b"]]; // prettier-ignore
  const live = state(hub.url, { topics });
  await new Promise((resolve) => live.addEventListener("closed", resolve));
  equal([...live].sort(), expected);
  const accept = { headers: { accept: "application/json" } };
  const page = await (await fetch(`${hub.url}/events?topic=a&topic=b&from=state`, accept)).json();
  equal(entriesOf(page).sort(), expected);
  const begun = state(hub.url, { topics, page });
  equal([...begun].sort(), expected);
  begun.close();
});

test("state: in Node it is the same, over kill -9, and closed it opens nothing more", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  await hub.publish("t", "1", { key: "a" });
  const live = await state(hub.url, { topics: "t" }).ready;
  equal([...live], [["a", "1", "t"]]);
  await hub.kill();
  await hub.start();
  await hub.publish("t", "+", { append: "a" });
  await until("the piece", () => live.get("a") === "1+");
  live.close();
  await until("nobody", async () => (await hub.subscribers()) === 0);
  const early = state(hub.url, { topics: "t" });
  early.close();
  equal(await early.ready.catch((error) => error.cause.reason), "closed here");
});
