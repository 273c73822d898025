// The pages that a newcomer sees first, as pictures to look at; and nothing in them is cut off.
//
//   PICTURES=/tmp/pictures scripts/test-browser "picture:"

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { openPage } from "./browser.js";
import { equal, test, until } from "./harness.js";
import { startHub, startHubWithKey } from "./hub.js";

const FOLDER = process.env.PICTURES;
const WIDE = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Takes one picture each in light and dark, wide and narrow, and looks for what is wrong in it. */
async function look(page, name) {
  if (FOLDER) mkdirSync(FOLDER, { recursive: true });
  const findings = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const size of [WIDE, PHONE]) {
      await page.setViewportSize(size);
      const shot = `${name}-${colorScheme}-${size.width}`;
      if (FOLDER) await page.screenshot({ path: `${FOLDER}/${shot}.png`, fullPage: true });
      for (const cut of await page.evaluate(cutOff)) findings.push(`${shot}: ${cut}`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() =>
        window.axe.run(document, { runOnly: ["color-contrast", "label", "button-name"] }),
      );
      for (const { id, nodes } of violations) findings.push(`${shot}: ${id} ${nodes[0].html}`);
    }
  }
  equal(findings, []);
}

/** In the page: what is wider than the window, and labels and buttons too small for their text. */
function cutOff() {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const found = wide > 0 ? [`${wide} pixels wider than the window`] : [];
  for (const one of document.querySelectorAll("button, label, h1, h2, dt, dd, figcaption, th")) {
    const { right, width } = one.getBoundingClientRect();
    if (width === 0) continue;
    const isScrolled = one.closest(".scroll, pre") !== null;
    if ((right > innerWidth && !isScrolled) || one.scrollWidth > one.clientWidth + 1) {
      // Elements in a line have no width of their own to exceed.
      if (getComputedStyle(one).display !== "inline") found.push(one.outerHTML.slice(0, 120));
    }
  }
  return found;
}

test("picture: the console of a new hub", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url);
  await page.getByText("No events yet.").waitFor();
  await look(page, "console-empty");
});

test("picture: the console asks for a token, and shows who is signed in", async () => {
  const { hub, key } = await startHubWithKey();
  for (const n of [1, 2, 3]) {
    await hub.publish(`orders/${n}`, `{"state":"sent","parcels":${n}}`, { token: key });
  }
  const page = await openPage(hub.url);
  await page.getByText("This hub needs a token or a key.").waitFor();
  await look(page, "console-sign-in");
  await page.locator("#token").fill(key);
  await page.keyboard.press("Enter");
  await until("events", async () => (await page.locator("#rows tr:not(.note)").count()) === 3);
  await page.getByRole("button", { name: "Signed in" }).click();
  await page.locator("#share-topics").fill("orders/*");
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.locator("#share-made").waitFor();
  await until("figures", async () => (await page.locator("#subscribers").textContent()) === "1");
  await look(page, "console-signed-in");
});

test(
  "picture: the index of the demo, the assistant, and the console beside them",
  async () => {
    const hub = await startHub([], "demo");
    const page = await openPage(`${hub.url}/demo/`);
    await page.waitForTimeout(3000);
    await look(page, "demo-index");
    await page.goto(`${hub.url}/demo/assistant`);
    await page.waitForTimeout(3000);
    await look(page, "demo-assistant");
    await page.goto(hub.url);
    await until("events", async () => (await page.locator("#rows tr:not(.note)").count()) > 5);
    await look(page, "console-busy");
  },
  { seconds: 120 },
);
