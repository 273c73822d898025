// tidings.js in a bundle, and how large it is.

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { heard, openPage } from "./browser.js";
import { after, equal, ok, Skipped, temporaryFolder, test, until } from "./harness.js";
import { startHub } from "./hub.js";

const PACKAGE = new URL("../../crates/tidings-web/assets/npm", import.meta.url).pathname;
const REACT = new URL("../../clients/react", import.meta.url).pathname;
const SCRIPT = join(PACKAGE, "tidings.js");

const run = promisify(execFile);

/**
 * What its README says of it, minified and gzipped: what a page loads, and the worker more; and all
 * of it in one bundle. `served` is how a hub serves it: as it stands, comments and all.
 */
const BYTES_MAX = { page: 2_800, worker: 3_650, bundle: 6_000, served: 44_000 };

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** Unpacks what npm would publish of a package. */
async function install(source, folder) {
  const packing = ["pack", "--silent", "--pack-destination", temporaryFolder(), source];
  const { stdout } = await run("npm", packing);
  mkdirSync(folder, { recursive: true });
  await run("tar", ["-xzf", join(packing[3], stdout.trim()), "--strip=1", "-C", folder]);
}

/**
 * A project that has the package installed, and whose `src/app.js` listens to `news`; its folder.
 */
async function project(hub) {
  const folder = temporaryFolder();
  await install(PACKAGE, join(folder, "node_modules/@tidings-hub/tidings"));
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "package.json"), `{"private": true, "type": "module"}`);
  const script = `<!doctype html><script type="module" src="/src/app.js"></script>`;
  writeFileSync(join(folder, "index.html"), script);
  writeFileSync(
    join(folder, "src/app.js"),
    `
  import { connect } from "@tidings-hub/tidings";
  window.heard = [];
  window.source = connect("${hub.url}", { topics: "news" });
  window.source.onmessage = ({ data }) => window.heard.push({ type: "message", data });
`,
  );
  return folder;
}

/** A server for a folder of scripts; its page loads `script`, unless the folder has a page. */
async function serve(folder, script = "/app.js") {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    response.setHeader("content-type", name.endsWith(".js") ? "text/javascript" : "text/html");
    try {
      response.end(readFileSync(join(folder, name)));
    } catch {
      const page = `<!doctype html><script type="module" src="${script}"></script>`;
      response.writeHead(name === "index.html" ? 200 : 404).end(page);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** The module of a bundler, which is optional; without it the test is skipped, and says so. */
async function bundler(name) {
  try {
    return await import(name);
  } catch {
    throw new Skipped(`${name} is not here: npm ci --include=optional in tests/browser`);
  }
}

/** Runs esbuild's own command line in a folder. */
async function esbuild(folder, ...options) {
  const program = createRequire(import.meta.url).resolve("esbuild/bin/esbuild");
  const flags = ["--bundle", "--format=esm", "--outdir=assets", "--log-level=error", ...options];
  await run(program, flags, { cwd: folder });
  return join(folder, "assets");
}

/** Two pages of a site share one connection, and both hear an event. */
async function share(hub, site) {
  const pages = [await openPage(site), await openPage(site)];
  for (const page of pages) {
    await until("it listens", () => page.evaluate(() => window.source?.readyState === 1));
    equal(await page.evaluate(() => window.source.host), "shared");
  }
  equal(await hub.subscribers(), 1);
  await hub.publish("news", "bundled");
  for (const page of pages) await until("it", async () => (await heard(page))[0] === "bundled");
}

// The commands and options are those of docs/guides/browser.md.

test("bundles: with esbuild tabs share one connection through the second entry", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const entries = ["app=src/app.js", "tidings=@tidings-hub/tidings", "--splitting"];
  const folder = await esbuild(await project(hub), ...entries);
  await share(hub, await serve(folder));
});

test("bundles: without it the page has its own connection, and the console says so", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const site = await serve(await esbuild(await project(hub), "src/app.js"));
  const page = await openPage();
  const warnings = [];
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  await page.goto(site);
  await until("it listens", () => page.evaluate(() => window.source?.readyState === 1));
  equal(await page.evaluate(() => window.source.host), "page");
  equal(warnings.filter((text) => text.includes("tabs cannot share a connection")).length, 1);
});

test("bundles: with Vite tabs share one connection in a build", async () => {
  const vite = await bundler("vite");
  const hub = await startHub(["--cors-origin", "*"]);
  const root = await project(hub);
  await vite.build({ configFile: false, root, logLevel: "error" });
  await share(hub, await serve(join(root, "dist")));
});

test("bundles: on Vite's development server tabs share one connection", async () => {
  const vite = await bundler("vite");
  const hub = await startHub(["--cors-origin", "*"]);
  const root = await project(hub);
  const server = await vite.createServer({
    configFile: false,
    root,
    logLevel: "error",
    optimizeDeps: { exclude: ["@tidings-hub/tidings"] },
    server: { host: "127.0.0.1", port: 0 },
  });
  after(() => server.close());
  await server.listen();
  await share(hub, `http://127.0.0.1:${server.httpServer.address().port}`);
});

test("bundles: with webpack tabs share one connection", async () => {
  const { default: webpack } = await bundler("webpack");
  const hub = await startHub(["--cors-origin", "*"]);
  const context = await project(hub);
  const output = { path: join(context, "dist"), filename: "app.js" };
  const compiler = webpack({ mode: "production", context, entry: "./src/app.js", output });
  const stats = await promisify(compiler.run.bind(compiler))();
  equal(stats.toJson({ all: false, errors: true }).errors, []);
  await share(hub, await serve(output.path));
});

test("bundles: the packages have their types, what they import, and their licences", async () => {
  for (const source of [PACKAGE, REACT]) {
    const folder = temporaryFolder();
    await install(source, folder);
    const { types, exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const names = readdirSync(folder, { recursive: true });
    const entries = [types, exports["."].default].map((path) => path.slice(2));
    for (const name of [...entries, "README.md", "LICENSE-MIT", "LICENSE-APACHE"])
      ok(names.includes(name), `${source}: ${name}`);
    for (const name of names.filter((name) => name.endsWith(".js"))) {
      const text = readFileSync(join(folder, name), "utf8");
      for (const [, target] of text.matchAll(/(?:from|import\(?) ?"(\.[^"]+)"/g))
        ok(names.includes(join(name, "..", target)), `${name}: ${target}`);
    }
  }
});

/** Builds the scripts of the package, minified. */
const minified = (options) =>
  build({ bundle: true, format: "esm", minify: true, logLevel: "error", ...options });

/** The bytes of a script and of all that it imports, as a server has them. */
async function served(url, seen = new Set()) {
  if (seen.has(url)) return 0;
  seen.add(url);
  const answer = await fetch(url);
  equal(answer.status, 200, url);
  const text = await answer.text();
  let bytes = Buffer.byteLength(text);
  for (const [, target] of text.matchAll(/(?:from|import\(?) ?"(\.[^"]+)"/g))
    bytes += await served(new URL(target, url).href, seen);
  return bytes;
}

test("bundles: tidings.js is no larger than it says", async () => {
  const sizes = { page: 0, worker: 0 };
  const folder = temporaryFolder();
  await minified({ entryPoints: [SCRIPT], splitting: true, outdir: folder });
  for (const name of readdirSync(folder)) {
    const part = name.startsWith("exchange") ? "worker" : "page";
    sizes[part] += gzipped(readFileSync(join(folder, name)));
  }
  const { outputFiles } = await minified({ entryPoints: [SCRIPT], write: false });
  sizes.bundle = gzipped(outputFiles[0].contents);
  const hub = await startHub();
  sizes.served = await served(`${hub.url}/tidings.js`);
  console.log(`        ${JSON.stringify(sizes)}`);
  for (const [part, most] of Object.entries(BYTES_MAX)) {
    ok(sizes[part] > most / 2, `${part}: ${sizes[part]} bytes: something was not measured`);
    ok(sizes[part] <= most, `${part}: ${sizes[part]} bytes are more than ${most}`);
  }
});
