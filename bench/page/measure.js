// A page of many keys in Chromium: how soon it is painted, how many changes a second it takes, and
// whether it is right when it was loaded while the keys change.
//
//     node measure.js --from tidings --url http://127.0.0.1:3000 [--keys 10000] [--updates 100000]
//         [--paints 5] [--loads 10]
//     node measure.js --from redis --redis 6379 ...
//
// The page shows a row for each key, and the same function writes each change into it. From a hub
// it uses `tidings-state.js`; by hand it reads the hash, then subscribes to the changes.

import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { startByHand } from "./by-hand.js";
import { hub } from "./hub.js";

const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"];
const BATCH = 1000;
const RACE_BATCH = 20;
const RACE_EVERY_MS = 10;
/** A page to which nothing comes for this long has everything that will come. */
const QUIET_MS = 1000;
const PATIENCE_MS = 120_000;

const { values: given } = parseArgs({
  options: {
    from: { type: "string" },
    url: { type: "string" },
    redis: { type: "string" },
    keys: { type: "string", default: "10000" },
    updates: { type: "string", default: "100000" },
    paints: { type: "string", default: "5" },
    loads: { type: "string", default: "10" },
  },
});
const keys = Number(given.keys);

/** What both pages begin with. */
const ROWS = `
  const rows = document.getElementById("rows");
  const cells = new Map();
  const shown = { count: 0, last: 0 };
  function show(key, value) {
    let cell = cells.get(key);
    if (!cell) {
      const row = rows.insertRow();
      row.insertCell().textContent = key;
      cell = row.insertCell();
      cells.set(key, cell);
    }
    cell.textContent = value;
    shown.count += 1;
    shown.last = performance.now();
  }
  window.isReady = () => { window.readyAt ??= performance.now(); };
  window.shown = () => ({ ...shown, now: performance.now() });
  window.values = () => [...cells].map(([key, cell]) => [key, cell.textContent]);
`;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nameOf = (number) => `key-${String(number).padStart(6, "0")}`;

/** What the keys are, as their publisher knows it. */
const truth = new Map();
let version = 0;
const nextOf = (key) => {
  version += 1;
  truth.set(key, `${version}`);
  return [key, `${version}`];
};
const some = (count) =>
  Array.from({ length: count }, () => nextOf(nameOf(Math.floor(Math.random() * keys))));

async function open(browser, source) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  const body = `<!doctype html><title>keys</title><table id="rows"></table>
    <script type="module">${ROWS}${source.script}</script>`;
  await page.route("**/page.html", (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(new URL("/page.html", source.url).href);
  await page.waitForFunction(() => window.readyAt !== undefined, null, { timeout: PATIENCE_MS });
  return page;
}

/** Waits until nothing more comes; what came, and when the last of it. */
async function settled(page, count = Infinity) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const shown = await page.evaluate(() => window.shown());
    if (shown.count >= count || shown.now - shown.last > QUIET_MS) return shown;
    if (Date.now() > deadline) throw new Error("there is no end to the changes");
    await pause(50);
  }
}

/** Milliseconds from the navigation until the rows are there, and until they are painted. */
async function paint(browser, source) {
  const page = await open(browser, source);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length);
  const found = await page.evaluate(() => ({
    rows: window.readyAt,
    paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    count: window.values().length,
  }));
  if (found.count !== keys) throw new Error(`${found.count} rows of ${keys}`);
  await page.context().close();
  return found;
}

/** Changes as fast as they can be published; how many came, and how many a second. */
async function flood(browser, source) {
  const page = await open(browser, source);
  const { count: before } = await settled(page);
  const updates = Number(given.updates);
  const began = await page.evaluate(() => performance.now());
  const start = performance.now();
  for (let sent = 0; sent < updates; sent += BATCH) await source.publish(some(BATCH));
  const published = performance.now() - start;
  const { count, last } = await settled(page, before + updates);
  await page.context().close();
  const came = count - before;
  return {
    updates,
    came,
    published_per_s: Math.round(updates / (published / 1000)),
    shown_per_s: Math.round(came / ((last - began) / 1000)),
  };
}

/** Loads the page while keys change; how many keys are wrong once nothing changes any more. */
async function race(browser, source) {
  let [stale, loads, changes] = [0, 0, 0];
  for (let load = 0; load < Number(given.loads); load += 1) {
    let isOver = false;
    const changing = (async () => {
      while (!isOver) {
        await source.publish(some(RACE_BATCH));
        changes += RACE_BATCH;
        await pause(RACE_EVERY_MS);
      }
    })();
    await pause(100);
    const page = await open(browser, source);
    await pause(200);
    isOver = true;
    await changing;
    await settled(page);
    const wrong = (await page.evaluate(() => window.values())).filter(
      ([key, value]) => truth.get(key) !== value,
    );
    stale += wrong.length;
    loads += Number(wrong.length > 0);
    await page.context().close();
  }
  return { stale_keys: stale, wrong_loads: loads, loads: Number(given.loads), changes };
}

const source = given.from === "redis" ? await startByHand(Number(given.redis)) : hub(given.url);
for (let first = 0; first < keys; first += BATCH) {
  const count = Math.min(BATCH, keys - first);
  await source.publish(Array.from({ length: count }, (_, n) => nextOf(nameOf(first + n))));
}
const executablePath = BROWSERS.find((path) => path && existsSync(path));
if (!executablePath) throw new Error("no Chromium: install it, or set CHROMIUM");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const paints = [];
for (let round = 0; round < Number(given.paints); round += 1) {
  paints.push(await paint(browser, source));
}
const found = { paints, flood: await flood(browser, source), race: await race(browser, source) };
console.log(JSON.stringify(found));
await browser.close();
await source.close();
process.exit(0);
