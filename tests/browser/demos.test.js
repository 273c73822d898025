// The demo pages, with their publishers.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { EXAMPLES } from "../../crates/tidings-web/assets/demo/examples.js";
import { openPage } from "./browser.js";
import { after, equal, ok, test, until } from "./harness.js";
import { startHub } from "./hub.js";

const text = (page, selector) => page.locator(selector).first().textContent();
const count = (page, selector) => page.locator(selector).count();

/** What moves on a page. */
const SIGNS = {
  counter: async (page) => Number(await text(page, "#count")) > 0,
  clock: async (page) => /ms after/.test(await text(page, "#late")),
  news: async (page) => (await count(page, "#news li")) >= 1,
  prices: async (page) => (await count(page, "#prices figure")) === 4,
  scores: async (page) => (await count(page, "#matches tr")) === 3,
  chat: async (page) => (await count(page, "#lines li")) >= 1,
  monitor: async (page) =>
    /%/.test(await text(page, "#cpu")) && /MB/.test(await text(page, "#hub")),
  notifications: async (page) => Number(await text(page, "#unread")) >= 1,
};

test("every demo page moves, and shows its source and its publisher's", async () => {
  const hub = await startHub([], "demo");
  const page = await openPage(`${hub.url}/demo/`);
  equal(await count(page, ".index a"), 10, "demos");
  for (const [name, sign] of Object.entries(SIGNS)) {
    await page.goto(`${hub.url}/demo/${name}`);
    await until(`${name} moves`, () => sign(page));
    await until("sources", async () => (await count(page, ".source pre")) === 5);
    const [source, publisher] = await page.locator(".source code").allTextContents();
    ok(source.includes("connect("), `the page's source: ${source}`);
    ok(publisher.includes("async fn run"), `the publisher's source: ${publisher}`);
  }
  equal(page.problems, []);
});

test("chat reaches the other tab, and gets an answer", async () => {
  const hub = await startHub([], "demo");
  const [one, two] = [
    await openPage(`${hub.url}/demo/chat`),
    await openPage(`${hub.url}/demo/chat`),
  ];
  await until("connected", async () => /connected/.test(await text(two, ".state")));
  await one.locator("#text").fill("hello there");
  await one.keyboard.press("Enter");
  for (const page of [one, two]) {
    await page.getByText("hello there").waitFor();
    await page.getByText(/^Tidings\s+Hello, Guest/).waitFor();
  }
});

test("a job ends with `event: end`, and stays ended", async () => {
  const hub = await startHub(["--retry", "300ms"], "demo");
  const page = await openPage(`${hub.url}/demo/job`);
  await page.getByRole("button", { name: "Start a job" }).click();
  await until(
    "progress",
    async () => (await page.locator("#bar").evaluate((bar) => bar.value)) > 10,
  );
  await page.locator("#log").getByText("event: end").waitFor({ timeout: 15_000 });
  let asked = 0;
  page.on("request", (request) => request.url().includes("/events/") && (asked += 1));
  await page.waitForTimeout(1000);
  equal(asked, 0, "requests afterwards");
  await page.reload();
  await page.locator("#log").getByText("event: end").waitFor();
  await until("done", async () => (await text(page, "#step")) === "done");
});

test("seven and more tabs of demos load, for they share one connection", async () => {
  const hub = await startHub([], "demo");
  const own = await until("the publishers listen", async () => {
    const subscribers = await hub.subscribers();
    return subscribers === 3 && subscribers;
  });
  const pages = [];
  for (const name of Object.keys(SIGNS))
    pages.push([name, await openPage(`${hub.url}/demo/${name}`)]);
  ok(pages.length >= 7, `${pages.length} tabs`);
  for (const [name, page] of pages) await until(`${name} moves`, () => SIGNS[name](page));
  pages.push(["the console", await openPage(hub.url)]);
  await pages.at(-1)[1].locator("#rows tr:not(.note)").first().waitFor();
  await until("one connection", async () => (await hub.subscribers()) === own + 1);
  for (const [name, page] of pages) equal(page.problems, [], name);
});

test("every demo begins again where events may be missing, and says so", async () => {
  const hub = await startHub(["--store", "memory", "--retry", "300ms"], "demo");
  const pages = [];
  for (const name of Object.keys(SIGNS)) {
    pages.push([name, await openPage(`${hub.url}/demo/${name}`)]);
    await until(`${name} moves`, () => SIGNS[name](pages.at(-1)[1]));
  }
  await hub.kill();
  await hub.start();
  for (const [name, page] of pages) {
    const says = /^connected; loaded again, because events may be missing \(replaced\)$/;
    await until(`${name} says so`, async () => says.test(await text(page, ".state")));
    await until(`${name} moves again`, () => SIGNS[name](page));
    equal(page.problems, [], name);
  }
  // What is shown is of the new log only.
  const [, counter] = pages.find(([name]) => name === "counter");
  ok(Number(await text(counter, "#count")) < 60, "the counter counts from its beginning");
});

test("the index shows every demo's latest event, also after the log is replaced", async () => {
  const hub = await startHub(["--store", "memory", "--retry", "300ms"], "demo");
  const page = await openPage(`${hub.url}/demo/`);
  const signs = {
    counter: /^\d+$/,
    clock: /\d+:\d\d/,
    news: /\w+ \w+/,
    prices: /^[A-Z]+ \d+\.\d\d$/,
    scores: /^\w+ \d+ : \d+ \w+$/,
    chat: /^Tidings: /,
    monitor: /^processor \d+ %$/,
    notifications: /\w+ \w+/,
  };
  const move = async () => {
    for (const [name, sign] of Object.entries(signs))
      await until(`${name} moves`, async () => sign.test(await text(page, `#${name}`)));
  };
  await move();
  equal(await text(page, "#job"), "no job yet: start one");
  for (const name of ["job", "assistant"]) {
    const { topic, data } = EXAMPLES[name];
    await hub.publish(topic, JSON.stringify(data));
  }
  await until("a job", async () => /^(\w+, \d+ %|done)$/.test(await text(page, "#job")));
  await until("an answer", async () => (await text(page, "#assistant")).startsWith("An answer"));
  await hub.kill();
  await page.evaluate(() => {
    for (const output of document.querySelectorAll("output")) output.textContent = "";
  });
  await hub.start();
  await move();
  equal(page.problems, []);
});

const run = promisify(execFile);

/** How a reader runs what a tab shows. */
const RUNS = {
  curl: (text) => run("sh", ["-c", text]),
  Python: (text) => run("python3", ["-c", text]),
  Node: (text) => run(process.execPath, ["--input-type=module", "--eval", text]),
};

// Thirty programs are started: half a minute, and more on a busy machine.
test("what the tabs beside a demo show publishes to it: with curl, Python and Node", async () => {
  const hub = await startHub([], "demo");
  const page = await openPage();
  for (const [name, { topic, type = "message" }] of Object.entries(EXAMPLES)) {
    await page.goto(`${hub.url}/demo/${name}`);
    for (const [language, start] of Object.entries(RUNS)) {
      await page.getByRole("tab", { name: language }).click();
      const program = await text(page, `#panel-${language} code`);
      const { id } = JSON.parse((await start(program)).stdout);
      const headers = { accept: "application/json" };
      const kept = await (await fetch(`${hub.url}/events/${topic}?last=50`, { headers })).json();
      const event = kept.events.find((one) => one.id === id);
      equal(event?.event, type, `${name} with ${language}`);
    }
  }
  // The last of these is a question, whose answer the page shows where its note says.
  const note = await page.locator(".source [role=tabpanel]:not([hidden]) p").textContent();
  await page.goto(hub.url + note.match(/\/demo\/\S+/)[0]);
  await until("words", async () => (await text(page, "#answer")).startsWith("An answer goes"));
}, { seconds: 240 });

test("a cut connection comes back with what came meanwhile, on every demo page", async () => {
  const hub = await startHub([], "demo");
  const pages = [];
  for (const name of Object.keys(SIGNS)) {
    const page = await openPage(`${hub.url}/demo/${name}`);
    await until(`${name} moves`, () => SIGNS[name](page));
    pages.push([name, page]);
  }
  for (const [name, page] of pages) {
    const { topic, type, data } = EXAMPLES[name];
    const body = typeof data === "string" ? data : JSON.stringify(data);
    await page.getByRole("button", { name: "Cut the connection" }).click();
    // It stays cut for four seconds; this comes meanwhile.
    await hub.publish(topic, body, { event: type });
  }
  for (const [name, page] of pages) {
    const summary = page.locator(".meanwhile p");
    const says = /^\d+ events? came while the connection was cut; none is missing/;
    await until(`${name} says it`, async () => says.test(await summary.textContent()));
    const listed = await page.locator(".meanwhile li").allTextContents();
    ok(listed.length > 0, name);
    for (const one of listed) ok(one.startsWith(`demo/${name}`), `${name}: ${one}`);
    equal(page.problems, [], name);
  }
  await pages.find(([name]) => name === "chat")[1].getByText("good evening").first().waitFor();
});

test("/demo leads to the demos, and the program prints what to open", async () => {
  const hub = await startHub([], "demo");
  const page = await openPage(`${hub.url}/demo`);
  equal(page.url(), `${hub.url}/demo/`);
  ok(hub.said.includes(`demos at ${hub.url}/demo/\n`), hub.said);
  ok(hub.said.includes(`console at ${hub.url}/\n`), hub.said);
});

test("the chat keeps what could not be sent, and says why", async () => {
  const hub = await startHub([], "demo");
  const page = await openPage(`${hub.url}/demo/chat`);
  await page.route("**/events/demo/chat", (route) => route.abort());
  await page.locator("#text").fill("do not lose me");
  await page.keyboard.press("Enter");
  await page.getByText("Not sent: the hub cannot be reached. Your text is still there").waitFor();
  equal(await page.locator("#text").inputValue(), "do not lose me");
  await page.unroute("**/events/demo/chat");
  // A hub that does not take it says why.
  const contentType = "application/problem+json";
  const answer = { status: 507, contentType, body: '{"detail": "the disk is full"}' };
  await page.route("**/events/demo/chat", (route) => route.fulfill(answer));
  await page.keyboard.press("Enter");
  await page.getByText("Not sent: the disk is full. Your text is still there").waitFor();
  equal(await page.locator("#text").inputValue(), "do not lose me");
});

test("an assistant's answer continues after a reload and in a second tab", async () => {
  const hub = await startHub([], "demo");
  const first = await openPage(`${hub.url}/demo/assistant`);
  const answer = (page) => text(page, "#answer");
  await first.getByRole("button", { name: "Ask" }).click();
  await until("some words", async () => (await answer(first)).split(" ").length > 8);
  await first.reload();
  const second = await openPage(first.url());
  for (const page of [first, second])
    await page.locator("#note", { hasText: /words, each an event/ }).waitFor({ timeout: 30_000 });
  const [a, b] = [await answer(first), await answer(second)];
  equal(a, b);
  ok(
    a.startsWith("Every word of this answer is an event") && a.endsWith("nothing comes twice."),
    a,
  );
});

/** Asks, and waits for some words; the page, and its answer so far. */
async function ask(hub) {
  const page = await openPage(`${hub.url}/demo/assistant`);
  await page.getByRole("button", { name: "Ask" }).click();
  const answer = () => text(page, "#answer");
  await until("some words", async () => (await answer()).split(" ").length > 8);
  return { page, answer };
}

test("Stop in the second tab ends an assistant's answer in both, and at its producer", async () => {
  const hub = await startHub([], "demo");
  const { page: first, answer } = await ask(hub);
  const opening = first.waitForEvent("popup");
  await first.getByRole("link", { name: "second tab" }).click();
  const second = await opening;
  after(() => second.close());
  await until("the same", async () => (await text(second, "#answer")).split(" ").length > 8);
  await second.getByRole("button", { name: "Stop" }).click();
  for (const page of [first, second])
    await page.locator("#note", { hasText: /^stopped after \d+ words/ }).waitFor();
  const stopped = await answer();
  equal(await text(second, "#answer"), stopped);
  // The producer writes no more: the topic has ended with the body of the DELETE.
  const topic = `demo/answers/${new URL(first.url()).hash.slice(1)}`;
  const url = `${hub.url}/events/${topic}?last=1`;
  const last = async () => {
    const answer = await fetch(url, { headers: { accept: "application/json" } });
    return (await answer.json()).events[0];
  };
  await first.waitForTimeout(700);
  equal([(await last()).event, (await last()).data], ["stopped", "stopped here"]);
  await first.reload();
  await first.locator("#note", { hasText: /^stopped after/ }).waitFor();
  equal(await answer(), stopped);
});

test("words that came while an assistant's connection was cut are shown, and marked", async () => {
  const hub = await startHub([], "demo");
  const { page, answer } = await ask(hub);
  // In one task: no word comes between the two.
  const before = await page.evaluate(() => {
    document.querySelector(".connection button").click();
    return document.querySelector("#answer").textContent;
  });
  await page.locator(".meanwhile p", { hasText: /\d+ events came/ }).waitFor();
  await page.locator("#note", { hasText: /words, each an event/ }).waitFor({ timeout: 30_000 });
  ok((await count(page, "#answer mark")) > 5, "marked words");
  const unmarked = await page.evaluate(() => {
    const range = document.createRange();
    range.setStart(document.querySelector("#answer"), 0);
    range.setEndBefore(document.querySelector("#answer mark"));
    return range.toString();
  });
  equal(unmarked, before, "what comes before the marked words");
  ok((await answer()).endsWith("nothing comes twice."), await answer());
});
