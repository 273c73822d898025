// tidings.js in a bundle, and how large it is.

import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { heard, openPage } from "./browser.js";
import { after, equal, ok, temporaryFile, temporaryFolder, test, until } from "./harness.js";
import { startHub } from "./hub.js";

const SCRIPT = new URL("../../crates/tidings-web/assets/npm/tidings.js", import.meta.url).pathname;

/** What its README says of it, minified and gzipped: what a page loads, and the worker more. */
const BYTES_MAX = { page: 3_500, worker: 4_500 };

/** As docs/guides/browser.md has it: the application and tidings.js, side by side. */
async function bundle(entries, options = {}) {
  const outdir = temporaryFolder();
  await build({
    entryPoints: entries,
    bundle: true,
    format: "esm",
    minify: true,
    logLevel: "silent",
    alias: { "@tidings-hub/tidings": SCRIPT },
    outdir,
    ...options,
  });
  return outdir;
}

/** A server for a folder of scripts and a page that loads `app.js`. */
async function serve(folder) {
  const server = createServer((request, response) => {
    const name = /^\/assets\/([a-z]+\.js)$/.exec(request.url)?.[1];
    response.setHeader("content-type", name ? "text/javascript" : "text/html");
    try {
      const page = `<!doctype html><script type="module" src="/assets/app.js"></script>`;
      response.end(name ? readFileSync(join(folder, name)) : page);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

const app = (hub) =>
  temporaryFile(
    "app.js",
    `
  import { connect } from "@tidings-hub/tidings";
  window.heard = [];
  window.source = connect("${hub.url}", { topics: "news" });
  window.source.onmessage = ({ data }) => window.heard.push({ type: "message", data });
`,
  );

test("bundles: with esbuild tabs share one connection through the second entry", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const site = await serve(await bundle({ app: app(hub), tidings: SCRIPT }));
  const pages = [await openPage(site), await openPage(site)];
  for (const page of pages) {
    await until("it listens", () => page.evaluate(() => window.source?.readyState === 1));
    equal(await page.evaluate(() => window.source.host), "shared");
  }
  equal(await hub.subscribers(), 1);
  await hub.publish("news", "bundled");
  for (const page of pages) await until("it", async () => (await heard(page))[0] === "bundled");
});

test("bundles: without it the page has its own connection, and the console says so", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const site = await serve(await bundle({ app: app(hub) }));
  const page = await openPage();
  const warnings = [];
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  await page.goto(site);
  await until("it listens", () => page.evaluate(() => window.source?.readyState === 1), 20_000);
  equal(await page.evaluate(() => window.source.host), "page");
  equal(warnings.filter((text) => text.includes("tabs cannot share a connection")).length, 1);
});

test("bundles: tidings.js is no larger than it says", async () => {
  const sizes = {};
  const folder = await bundle({ tidings: SCRIPT }, { splitting: true });
  for (const name of readdirSync(folder)) {
    const bytes = gzipSync(readFileSync(join(folder, name)), { level: 9 }).length;
    const part = name.startsWith("exchange") ? "worker" : "page";
    sizes[part] = (sizes[part] ?? 0) + bytes;
  }
  console.log(`        ${JSON.stringify(sizes)}`);
  for (const [part, most] of Object.entries(BYTES_MAX)) {
    ok(sizes[part] <= most, `${part}: ${sizes[part]} bytes are more than ${most}`);
  }
});
