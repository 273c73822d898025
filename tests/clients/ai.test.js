// The AI SDK: its server half produces through examples/ai-sdk/route.mjs, its client half watches,
// as `useChat` does in a page.

import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import * as ai7 from "ai";
import * as ai6 from "ai6";
import { after, equal, ok, pause, temporaryFolder, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

const VERSIONS = { ai: ai7, ai6 };
const BROKE_OFF = "the answer broke off";

/** Rounds of random kills for each version; `AI_SEED` repeats those of an earlier run. */
const ROUNDS = 4;
const RUN_WORDS = 100;
const SEED = Number(process.env.AI_SEED ?? randomInt(1_000_000));

const words = (count) => Array.from({ length: count }, (_, n) => `${n + 1} `).join("");

/** Starts the producer of a run as a process; the lines it prints, and when. */
function produce(hub, version, id, count) {
  const folder = temporaryFolder();
  const from = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
  const route = from("../../examples/ai-sdk/route.mjs");
  const mine = {
    "http://127.0.0.1:3000": hub.url,
    'from "ai"': `from "${version}"`,
    '"5s"': '"1s"',
  };
  const text = Object.entries(mine).reduce((text, [one, other]) => {
    ok(text.includes(one), `route.mjs speaks of ${one}`);
    return text.replaceAll(one, other);
  }, route);
  writeFileSync(join(folder, "route.mjs"), text);
  writeFileSync(join(folder, "producer.mjs"), from("ai-producer.mjs"));
  symlinkSync(new URL("node_modules", import.meta.url), join(folder, "node_modules"));
  const child = spawn(process.execPath, [join(folder, "producer.mjs"), id, `${count}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = [];
  child.stdout.on("data", (piece) => {
    for (const line of `${piece}`.split("\n").filter(Boolean)) lines.push({ line, at: Date.now() });
  });
  const kill = () => child.kill("SIGKILL");
  after(kill);
  return { kill, said: (word) => lines.find(({ line }) => line.startsWith(word)) };
}

/** A tab that has opened the chat: state and transport as `useChat` has them. */
function openChat({ AbstractChat, DefaultChatTransport }, api) {
  const state = {
    status: "ready",
    error: undefined,
    messages: [],
    pushMessage: (message) => (state.messages = [...state.messages, message]),
    popMessage: () => (state.messages = state.messages.slice(0, -1)),
    replaceMessage: (n, message) => (state.messages = state.messages.with(n, message)),
    snapshot: (thing) => structuredClone(thing),
  };
  const transport = new DefaultChatTransport({ prepareReconnectToStreamRequest: () => ({ api }) });
  return new (class extends AbstractChat {})({ id: "chat", state, transport });
}

/** What the tab shows. */
const textOf = (chat) =>
  (chat.messages.at(-1)?.parts ?? [])
    .filter(({ type }) => type === "text")
    .map(({ text }) => text)
    .join("");

/**
 * Watches a run to its end, as a page that is loaded again after every error: what it shows then.
 * `cuts` counts the errors that were no word of the producer's.
 */
function watch(sdk, hub, id, query = "from=start&if=open") {
  const tab = { chat: undefined, cuts: 0 };
  tab.end = (async () => {
    for (;;) {
      tab.chat = openChat(sdk, `${hub.url}/events/chats/${id}?${query}`);
      await tab.chat.resumeStream();
      const error = tab.chat.error?.message;
      if (!error || error === BROKE_OFF) return { text: textOf(tab.chat), error };
      tab.cuts += 1;
      query = "from=start";
      await pause(200);
    }
  })();
  return tab;
}

/** A hub, a producer of `count` words, and two tabs that see its words. */
async function open(version, count) {
  const hub = await startHub(["--retry", "300ms"]);
  const sdk = VERSIONS[version];
  const producer = produce(hub, version, "1", count);
  await until("it writes", () => producer.said("writing"));
  await until("the run has begun", async () => {
    const headers = { accept: "application/json" };
    const page = await fetch(`${hub.url}/events/chats/1?from=start`, { headers });
    return (await page.json()).events?.length > 0;
  });
  const tabs = [watch(sdk, hub, "1"), watch(sdk, hub, "1")];
  await until("both tabs show words", () => tabs.every(({ chat }) => textOf(chat).length > 10));
  return { hub, sdk, producer, tabs };
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
function numbersFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A run of two seconds in which hub, producer and reader are killed, or not, each at a moment of
 * its own. Both tabs must end with the same text, and without the error only if it is whole.
 */
async function killAtRandom(version, round) {
  const random = numbersFrom(SEED * 100 + Object.keys(VERSIONS).indexOf(version) * 10 + round);
  const within = (ms) => Math.floor(random() * ms);
  const { hub, sdk, producer, tabs } = await open(version, RUN_WORDS);
  const plan = [];
  /** With a probability of 2 in 3, at some moment of the run or shortly after. */
  const perhaps = (what, act) => {
    const [chance, at] = [random(), within(RUN_WORDS * 20 + 1000)];
    if (chance < 2 / 3) plan.push({ what, at, act });
  };
  const signal = random() < 0.5 ? "SIGKILL" : "SIGTERM";
  const away = within(800);
  perhaps(`${signal} of the hub, away for ${away} ms`, async () => {
    await hub.kill(signal);
    await pause(away);
    await hub.start();
  });
  perhaps("kill -9 of the producer", () => producer.kill());
  perhaps("the second tab is closed and opened", async () => {
    const { chat } = tabs[1];
    tabs[1] = watch(sdk, hub, "1", "from=start");
    await chat.stop();
  });
  plan.sort((a, b) => a.at - b.at);
  const told = plan.map(({ what, at }) => `${at} ms: ${what}`).join("; ") || "no kill";
  const started = Date.now();
  for (const { at, act } of plan) {
    await pause(Math.max(0, at - (Date.now() - started)));
    await act();
  }
  const [one, other] = await Promise.all(tabs.map(({ end }) => end));
  const late = await watch(sdk, hub, "1", "from=start").end;
  const what = `AI_SEED=${SEED}, round ${round} (${told})`;
  console.log(
    `        ${version}, ${what}: ${one.error ?? "whole"}, ${one.text.length} characters`,
  );
  equal(one, other, what);
  equal(one, late, `${what}, a latecomer`);
  const whole = words(RUN_WORDS);
  if (one.error === undefined) equal(one.text, whole, what);
  else ok(whole.startsWith(one.text), `${what}: ${one.text}`);
}

for (const version of Object.keys(VERSIONS)) {
  const together = (sentence, fn) => test(`${version}: ${sentence}`, fn, { together: true });

  together("two tabs, a reload in the middle and a latecomer show the same answer", async () => {
    const { hub, sdk, tabs } = await open(version, 100);
    await tabs[1].chat.stop(); // the user closes the tab, and opens it again
    tabs[1] = watch(sdk, hub, "1");
    const whole = { text: words(100), error: undefined };
    for (const tab of tabs) equal(await tab.end, whole);
    equal(await watch(sdk, hub, "1", "from=start").end, whole, "a latecomer");
    equal(await watch(sdk, hub, "1").end, { text: "", error: undefined }, "nothing runs");
  });

  together("a producer lost to kill -9 is the same error in both tabs", async () => {
    const { producer, tabs } = await open(version, 10_000);
    producer.kill();
    const [one, other] = await Promise.all(tabs.map(({ end }) => end));
    equal(one, other);
    equal(one.error, BROKE_OFF);
    ok(words(10_000).startsWith(one.text) && one.text.length > 10, one.text);
  });

  for (let round = 1; round <= ROUNDS; round += 1) {
    const sentence = `kills at random moments never show half an answer as whole (round ${round})`;
    together(sentence, () => killAtRandom(version, round));
  }

  together("Stop in one tab ends the producer, and both tabs show the same", async () => {
    const { hub, sdk, producer, tabs } = await open(version, 10_000);
    const address = `${hub.url}/events/chats/1`;
    const answer = await fetch(address, { method: "DELETE", body: '{"type":"abort"}' });
    equal(answer.status, 200);
    const stopped = (await until("it stops", () => producer.said("stopped"))).line;
    equal(stopped, "stopped 409");
    const [one, other] = await Promise.all(tabs.map(({ end }) => end));
    equal(one, other);
    equal(one.error, undefined);
    equal(await watch(sdk, hub, "1").end, { text: "", error: undefined }, "nothing runs");
    const second = produce(hub, version, "1", 10);
    const refused = (await until("the second stops", () => second.said("stopped"))).line;
    equal(refused, "stopped 412");
  });
}
