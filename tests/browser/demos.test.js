// The demo pages, with their publishers.

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
    await until(`${name} moves`, () => sign(page), 12_000);
    await until("sources", async () => (await count(page, ".source pre")) === 2);
    ok(
      (await text(page, ".source section:last-child code")).includes("async fn run"),
      "the publisher's source",
    );
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
  equal(await text(page, "#step"), "done");
});

test("an assistant's answer continues after a reload and in a second tab", async () => {
  const hub = await startHub([], "demo");
  const first = await openPage(`${hub.url}/demo/assistant`);
  const answer = (page) => text(page, "#answer");
  await first.getByRole("button", { name: "Ask" }).click();
  await until("some words", async () => (await answer(first)).split(" ").length > 8);
  await first.reload();
  await until(
    "they are there again",
    async () => (await answer(first)).split(" ").length > 8,
    1500,
  );
  const second = await openPage(first.url());
  await until(
    "in the second tab too",
    async () => (await answer(second)).split(" ").length > 8,
    1500,
  );
  for (const page of [first, second])
    await page.getByText(/words, \d+ events/).waitFor({ timeout: 30_000 });
  const [a, b] = [await answer(first), await answer(second)];
  equal(a, b);
  ok(
    a.startsWith("Every word of this answer is an event") && a.endsWith("nothing comes twice."),
    a,
  );
});
