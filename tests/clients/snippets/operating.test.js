// docs/operating/tls.md, docs/guides/moving-from-mercure.md, browser.md and recipes.md.

import { createServer } from "node:http";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openPage } from "../../browser/browser.js";
import * as harness from "../../browser/harness.js";
import { startHub } from "../../browser/hub.js";
import { freePort } from "../../ports.js";
import { SECRET, startMercure } from "../mercure.js";
import { Page } from "./page.js";
import { finish, paste, session, watch } from "./shell.js";

const { after, equal, ok, temporaryFile, temporaryFolder, test, until } = harness;

const tls = new Page("docs/operating/tls.md");
tls.notRun("--acme-domain", "it needs an authority: crates/tidings/tests/acme.rs has one");
tls.notRun("alert: TidingsCertificateEnds", "Prometheus is not here");
{
  const files = tls.run("--redirect-listen");
  const own = tls.run("openssl req");
  const clients = tls.run("--cacert cert.pem");
  test("snippets of docs/operating/tls.md: a certificate of one's own", async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    await watch(own, { port, folder }, /listening on https:/);
    const reader = paste(clients.split("\n")[1], { port, folder });
    await until("it is open", () => reader.said().includes("tidings.open"));
    await finish(clients.split("\n")[0], { port, folder });
    await until("the event", () => reader.said().includes("data: world"));

    const [main, plain] = [await freePort(), await freePort()];
    writeFileSync(join(folder, "jwt-secret"), SECRET);
    const replace = {
      "/etc/tidings": folder,
      "0.0.0.0:443": `127.0.0.1:${main}`,
      "0.0.0.0:80": `127.0.0.1:${plain}`,
      "tidings serve": "tidings serve --data second",
    };
    await watch(files, { port: main, folder, replace }, /listening on https:/);
    const redirected = await fetch(`http://127.0.0.1:${plain}/healthz`, { redirect: "manual" });
    equal(redirected.status, 308);
    const ask = `curl -f --cacert cert.pem https://localhost:${main}/healthz`;
    await finish(ask, { port: main, folder });
  });
}
tls.complete();

const moving = new Page("docs/guides/moving-from-mercure.md");
moving.notRun("BROADCAST_CONNECTION", "Laravel's packages cannot be installed here");
{
  const laravel = moving.run("--mercure-publish-origin https://app.example");
  test("snippets of docs/guides/moving-from-mercure.md: the hub for Laravel", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "jwt-secret"), SECRET);
    const port = await freePort();
    const options = { port, folder, replace: { "/etc/tidings": folder } };
    await watch(laravel, options, /listening on/);
    const headers = { origin: "https://app.example" };
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { headers });
    equal(answer.headers.get("access-control-allow-origin"), "https://app.example");
  });

  const [serve, , ...rest] = moving.run("$ export TIDINGS_JWT_SECRET").split("$ ").slice(1);
  test("snippets of docs/guides/moving-from-mercure.md: publish and listen", async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    await watch(`${serve}tidings serve`, { port, folder }, /listening on/);
    const [token, listen, publish] = rest;
    const listener = paste(serve + token + listen, { port, folder });
    const connected = () => finish("curl -fsS $TIDINGS_URL/healthz", { port });
    await until("the hub answers", connected);
    await until("the event", async () => {
      await finish(serve + token + publish, { port });
      return listener.said().includes("data: hello");
    });
  });

  const conformance = session(moving.run("$ tidings conformance"));
  test("snippets of docs/guides/moving-from-mercure.md: the present hub is examined", async () => {
    const hub = await startMercure(["--mercure-anonymous"]);
    const options = { port: hub.port, env: { KEY: SECRET } };
    const running = paste(conformance.commands, options);
    const status = await running.gone;
    equal(status, 0, running.complained() + running.said());
  });
}
{
  const listed = moving.run("mercure-public = ");
  test("snippets of docs/guides/moving-from-mercure.md: public native events", async () => {
    const settings = temporaryFile("hub.toml", `jwt-secret = "${SECRET}"\n${listed}`);
    const hub = await startHub(["--config", settings, "--mercure-anonymous"]);
    const command = `tidings token --secret '${SECRET}' --publish '**'`;
    const token = (await finish(command, { port: hub.port })).trim();
    for (const topic of ["private/1", "news/1"]) await hub.publish(topic, topic, { token });
    const query = "topic=*&lastEventID=earliest";
    const reader = paste(`curl -N "$TIDINGS_URL/.well-known/mercure?${query}"`, { port: hub.port });
    await until("what is public", () => reader.said().includes("data: news/1"));
    ok(!reader.said().includes("private/1"), reader.said());
  });
}
moving.complete();

const browser = new Page("docs/guides/browser.md");
{
  const six = browser.run("onerror = () => list.append");
  const tabs = browser.run('hub.addEventListener("alarm"');
  const tokens = browser.run("token: () => freshToken()");
  const install = browser.run("npm pack");
  const at = async (body) => {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(body());
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${server.address().port}`;
  };

  test("snippets of docs/guides/browser.md: six lines", async () => {
    const hub = await startHub(["--cors-origin", "*"]);
    const address = await at(() => six.replace("http://127.0.0.1:3000", hub.url));
    const page = await openPage(address);
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await finish("curl -d world http://127.0.0.1:3000/events/hello", { port: hub.port });
    const shown = () => page.evaluate(() => list.textContent);
    await until("it is shown", async () => (await shown()) === "world\n");
  });

  test("snippets of docs/guides/browser.md: tidings.js", async () => {
    const hub = await startHub();
    const page = await openPage();
    await page.route("**/page", (route) => route.fulfill({
      contentType: "text/html",
      body: `<script>const heard = [], show = (data) => heard.push(data), ring = show;</script>
        <script type="module">${tabs}</script>`,
    }));
    await page.goto(`${hub.url}/page`);
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await hub.publish("news/1", "world");
    await hub.publish("news/2", "fire", { event: "alarm" });
    await until("both are heard", async () => (await page.evaluate(() => heard.length)) === 2);
    equal(await page.evaluate(() => heard), ["world", "fire"]);
  });

  test("snippets of docs/guides/browser.md: tidings.js with tokens", async () => {
    const hub = await startMercure();
    const page = await openPage();
    const command = `tidings token --secret '${SECRET}' --subscribe 'mine/**' --expires 10m`;
    const token = (await finish(command, { port: hub.port })).trim();
    await page.route("**/page", (route) => route.fulfill({
      contentType: "text/html",
      body: `<script>const freshToken = async () => "${token}";</script><script type="module">
        import { connect } from "/tidings.js";
        ${tokens.replace("https://hub.example.org", "")}</script>`,
    }));
    await page.goto(`${hub.url}/page`);
    await until("it listens", async () => (await hub.stats()).subscribers === 1);
  });

  test("snippets of docs/guides/browser.md: the package of a clone", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "package.json"), "{}");
    const clone = new URL("../../../", import.meta.url).pathname;
    await finish(install, { folder, replace: { "../tidings/": clone } });
    ok(existsSync(join(folder, "node_modules/@tidings-hub/tidings/tidings.js")));
  });
}
browser.complete();

const recipes = new Page("docs/guides/recipes.md");
for (const part of [
  "# app.py",
  "# views.py",
  "// app.mjs",
  "// app/hub/route.js",
  "// app/orders/route.js",
  "// app/user.js",
  "<?php // routes/web.php",
  "func token(",
  "@RestController",
  '<pre id="list">',
]) {
  recipes.takenBy(part, "tests/clients/recipes.test.js");
}
recipes.notRun("class HubController", "Rails' packages cannot be installed where tests run");
{
  const serve = recipes.run("tidings serve --cors-origin");
  test("snippets of docs/guides/recipes.md: the hub", async () => {
    await watch(serve, { port: await freePort() }, /listening on/);
  });
}
recipes.complete();
