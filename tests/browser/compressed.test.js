// Streams that the hub compresses, as browsers read them: an event that a browser held back would
// be shown with the next one, and here the next one waits for it.

import { heard, listen, openBrowser } from "./browser.js";
import { selfSigned } from "./certificate.js";
import { openFirefox } from "./firefox.js";
import { after, equal, test, until } from "./harness.js";
import { startHub } from "./hub.js";

/** Events that are shown one by one: more than are sent before one that refers to none. */
const ONE_BY_ONE = 50;

async function openChromium() {
  const browser = await openBrowser({ ignoreHTTPSErrors: true });
  after(() => browser.close());
  return async (address) => {
    const page = await browser.newPage();
    await page.goto(address);
    return page;
  };
}

/** In the page: publishes `last - first + 1` events, each once the one before it was shown. */
function publishOneByOne(page, first, last) {
  return page.evaluate(
    async ({ first, last }) => {
      for (let n = first; n <= last; n += 1) {
        const data = JSON.stringify({ n, words: "to be or not to be" });
        const shown = new Promise((resolve, reject) => {
          setTimeout(() => reject(new Error(`${n} was not shown`)), 60_000);
          window.source.addEventListener("message", resolve, { once: true });
        });
        const answer = await fetch("/events/news", { method: "POST", body: data });
        if (answer.status !== 200) throw new Error(`publishing: ${answer.status}`);
        const event = await shown;
        if (event.data !== data) throw new Error(`${event.data} instead of ${data}`);
      }
    },
    { first, last },
  );
}

async function showsEach(open, isSecure) {
  const flags = ["--retry", "300ms", "--compression", "public"];
  if (isSecure) {
    const { key, certificate } = selfSigned();
    flags.push("--tls-cert", certificate, "--tls-key", key);
  }
  const hub = await startHub(flags);
  const page = await open(`${hub.url}/tidings.d.ts`);
  const codings = [];
  page.on("response", (response) => {
    if (!response.url().endsWith("/events/news") || response.request().method() !== "GET") return;
    codings.push(response.headers()["content-encoding"]);
  });
  await listen(page, "/events/news");
  await until("open", async () => (await heard(page, "open")).length === 1);
  await publishOneByOne(page, 1, ONE_BY_ONE);
  await hub.kill();
  await hub.start();
  await until("open again", async () => (await heard(page, "open")).length === 2);
  await publishOneByOne(page, ONE_BY_ONE + 1, ONE_BY_ONE + 10);
  const numbers = (await heard(page)).map((data) => JSON.parse(data).n);
  equal(
    numbers,
    Array.from({ length: ONE_BY_ONE + 10 }, (_, n) => n + 1),
  );
  equal(codings, ["gzip", "gzip"], "codings");
  await page.evaluate(() => fetch("/events/news", { method: "DELETE" }));
  await until("the end", async () => (await heard(page, "end")).length === 1);
}

for (const [name, open] of Object.entries({ Chromium: openChromium, Firefox: openFirefox })) {
  for (const isSecure of [false, true]) {
    const way = isSecure ? "HTTP/2 and TLS" : "HTTP/1.1";
    test(`${name} shows each event of a compressed stream before the next, over ${way}`, async () =>
      showsEach(await open(), isSecure));
  }
}
