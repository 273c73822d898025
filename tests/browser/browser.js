// Chromium as it is installed, headless and without network traffic of its own.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { after, until } from "./harness.js";

/** What every browser is started with. */
export const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const PLACES = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** A browser with a new, empty profile, which `close` removes. Its pages are one user's tabs. */
export async function openBrowser({ flags = [], ...options } = {}) {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  if (!executablePath)
    throw new Error("no Chromium: install the package chromium, or set CHROMIUM");
  const profile = mkdtempSync(join(tmpdir(), "tidings-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [...ARGS, ...flags],
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(10_000);
  const close = context.close.bind(context);
  context.close = async () => {
    await close();
    rmSync(profile, { recursive: true, force: true });
  };
  return context;
}

let shared;

/** A tab of the browser that all tests share; it is closed with the test. */
export async function openPage(address) {
  shared ??= openBrowser();
  const page = await (await shared).newPage();
  after(() => page.close());
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  if (address) await page.goto(address);
  return page;
}

export async function closeBrowser() {
  await (await shared)?.close();
}

/** The devtools of one page. */
export async function devtools(page) {
  return page.context().newCDPSession(page);
}

/** In the page: an EventSource as `window.source`, and its events in `window.heard`. */
export async function listen(page, address, options = {}) {
  await page.evaluate(
    ({ address, types = [], ...init }) => {
      window.heard = [];
      window.source = new EventSource(address, init);
      for (const type of ["open", "error", "message", "end", "tidings.reset", ...types]) {
        window.source.addEventListener(type, ({ data, lastEventId }) => {
          window.heard.push(data === undefined ? { type } : { type, data, id: lastEventId });
        });
      }
    },
    { address, ...options },
  );
}

/** The events of one type that `listen` or `connect` heard: their data, or their number. */
export async function heard(page, type = "message") {
  return page.evaluate(
    (type) => window.heard.filter((one) => one.type === type).map((one) => one.data),
    type,
  );
}

/** In the page: a connection as `window.source`, and its events in `window.heard`. */
export async function connect(page, options, { hub = "", types = [] } = {}) {
  await page.evaluate(
    async ({ hub, options, types }) => {
      const { connect } = await import(`${hub}/tidings.js`);
      window.heard = [];
      const connection = connect(hub, options);
      for (const type of ["message", "end", ...types]) {
        connection.addEventListener(type, ({ data, lastEventId }) =>
          window.heard.push({ type, data, id: lastEventId }),
        );
      }
      for (const type of ["open", "resumed", "reset", "closed", "error"]) {
        connection.addEventListener(type, ({ detail }) =>
          window.heard.push({ type, data: detail ?? null }),
        );
      }
      window.source = connection;
    },
    { hub, options, types },
  );
  await until("open", async () => (await heard(page, "open")).length > 0);
}
