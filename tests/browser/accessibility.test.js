// Every page under axe-core, in light and dark, wide and narrow.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { openPage } from "./browser.js";
import { equal, pause, test } from "./harness.js";
import { startHub } from "./hub.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PAGES = [
  "/",
  "/demo/",
  ...[
    "counter",
    "clock",
    "news",
    "prices",
    "scores",
    "chat",
    "job",
    "monitor",
    "notifications",
    "assistant",
  ].map((name) => `/demo/${name}`),
];

/** A folder for pictures, to be looked at. */
const PICTURES = process.env.PICTURES;

// Each page in four forms, nearly all of it work for the processor: twenty seconds on a machine
// that does nothing else, and over a minute on one that is busy.
test(
  "no page has a serious accessibility finding, nor is any wider than the screen",
  () => look(PAGES),
  { seconds: 240 },
);

test("nor has the page of the API, which is long", () => look(["/docs/api"]));

async function look(paths) {
  const hub = await startHub([], "demo");
  const page = await openPage();
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
  const findings = [];
  for (const path of paths) {
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(hub.url + path);
    await pause(PICTURES ? 4000 : 700);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1280, 375]) {
        await page.setViewportSize({ width, height: 800 });
        await pause(100);
        const name = `${path} ${colorScheme} ${width}`;
        if (PICTURES)
          await page.screenshot({ path: `${PICTURES}/${name.replace(/\W+/g, "-").slice(1)}.png` });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) findings.push(`${name}: ${wide} pixels wide`);
        // The narrow page has the same elements in the same colours.
        if (width === 375 && colorScheme === "dark") continue;
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          window.axe.run(document, { resultTypes: ["violations"] }),
        );
        for (const { id, impact, nodes } of violations) {
          if (impact === "serious" || impact === "critical")
            findings.push(`${name}: ${impact} ${id} ${nodes[0].html}`);
        }
      }
    }
  }
  equal(findings, []);
}
