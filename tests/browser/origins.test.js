// Pages of other origins.

import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { heard, listen, openPage } from "./browser.js";
import { equal, temporaryFile, test, until } from "./harness.js";
import { startHub, startHubWithKey } from "./hub.js";
import { startSite } from "./site.js";

test("an allowed origin listens with credentials and publishes past a preflight", async () => {
  const site = await startSite();
  const hub = await startHub(["--cors-origin", site, "--cors-credentials"]);
  const page = await openPage(site);
  await listen(page, `${hub.url}/events/x`, { withCredentials: true });
  await until("open", async () => (await heard(page, "open")).length === 1);
  const status = await page.evaluate(async (url) => {
    const headers = { "content-type": "application/json", authorization: "Bearer whatever" };
    const answer = await fetch(url, {
      method: "POST",
      headers,
      body: '{"n":1}',
      credentials: "include",
    });
    return answer.status;
  }, `${hub.url}/events/x`);
  equal(status, 200);
  await until("the event", async () => (await heard(page)).length === 1);
  equal(await heard(page), ['{"n":1}']);
});

test("an origin that is not allowed can neither listen nor publish", async () => {
  const site = await startSite();
  const hub = await startHub(["--cors-origin", "https://app.example"]);
  const page = await openPage(site);
  await listen(page, `${hub.url}/events/x`);
  await until("closed", () => page.evaluate(() => window.source.readyState === EventSource.CLOSED));
  await page.evaluate(
    (url) => fetch(url, { method: "POST", mode: "no-cors", body: "forged" }),
    `${hub.url}/events/x`,
  );
  equal((await hub.stats()).published, 0, "events published");
});

test("the example page, opened as a file, shows events arriving", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const example = new URL("../../examples/browser/events.html", import.meta.url);
  const html = readFileSync(example, "utf8").replaceAll("http://127.0.0.1:3000", hub.url);
  const file = temporaryFile("events.html", html);
  const page = await openPage(pathToFileURL(file).href);
  await page.getByText("connected").waitFor();
  await hub.publish("hello", "first");
  await hub.publish("hello", "an alarm", { event: "alarm" });
  await until("both in the list", async () => (await page.locator("li").count()) === 2);
  equal(await page.locator("li").allTextContents(), ["first", "alarm: an alarm"]);
  await page.getByRole("button", { name: "Close" }).click();
  await until("nobody listens", async () => (await hub.subscribers()) === 0);
});

test("the worker pattern's example shares one connection by hand", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const html = readFileSync(new URL("../../examples/browser/worker.html", import.meta.url), "utf8");
  const script = readFileSync(new URL("../../examples/browser/worker.js", import.meta.url), "utf8");
  const site = await startSite(html, {
    "/worker.js": script.replaceAll("http://127.0.0.1:3000", hub.url),
  });
  const pages = [await openPage(site), await openPage(site)];
  await until("one connection", async () => (await hub.subscribers()) === 1);
  // A page is loaded before its port has come to the worker.
  for (const one of pages) {
    await until("the worker knows the page", async () => {
      await hub.publish("hello", "anybody there?");
      return (await one.getByText("anybody there?").count()) > 0;
    });
  }
  await hub.publish("hello", "to both");
  for (const one of pages) await one.getByText("to both").waitFor();
  equal(await hub.subscribers(), 1);
});

/** tidings.js and its parts, as a site serves them in this folder. */
function scripts(folder) {
  const place = new URL("../../crates/tidings-web/assets/npm/", import.meta.url);
  const parts = readdirSync(new URL("tidings/", place)).map((name) => `tidings/${name}`);
  const read = (name) => [`${folder}/${name}`, readFileSync(new URL(name, place), "utf8")];
  return Object.fromEntries(["tidings.js", ...parts].map(read));
}

test("the page of the Express example listens with the token that its backend gives", async () => {
  const { hub, key } = await startHubWithKey(["--cors-origin", "*"]);
  const html = readFileSync(new URL("../../examples/express/page.html", import.meta.url), "utf8");
  const here = html.replaceAll("http://127.0.0.1:3000", hub.url);
  const site = await startSite(here, { "/token": key, ...scripts("/js") });
  const page = await openPage(site);
  const headers = { authorization: `Bearer ${key}` };
  const stats = async () => (await fetch(`${hub.url}/stats`, { headers })).json();
  await until("it listens", async () => (await stats()).subscribers === 1);
  await hub.publish("orders/7", "sent", { token: key });
  await page.getByText("sent").waitFor();
  const second = await openPage(site);
  await until("its two tabs share a connection", async () => {
    await hub.publish("orders/7", "to both", { token: key });
    return (await second.getByText("to both").count()) > 0;
  });
  equal((await stats()).subscribers, 1);
});
