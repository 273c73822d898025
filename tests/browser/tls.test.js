// The hub over TLS, with HTTP/2, as the browser sees it.

import { openBrowser } from "./browser.js";
import { selfSigned } from "./certificate.js";
import { after, equal, test, until } from "./harness.js";
import { startHub } from "./hub.js";

test("over TLS eight streams of a page share one connection, and resume over a crash", async () => {
  const { key, certificate } = selfSigned();
  const flags = ["--retry", "300ms", "--tls-cert", certificate, "--tls-key", key];
  const hub = await startHub(flags);
  const browser = await openBrowser({ ignoreHTTPSErrors: true });
  after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`${hub.url}/tidings.d.ts`);
  await page.evaluate(() => {
    window.heard = Array.from({ length: 8 }, () => []);
    window.sources = window.heard.map((heard, n) => {
      const source = new EventSource(`/events/stream/${n}`);
      source.onmessage = ({ data }) => heard.push(data);
      return source;
    });
  });
  // Over HTTP/1.1 two of them would wait for one of the six connections for ever.
  await until("all open", () =>
    page.evaluate(() => window.sources.every((source) => source.readyState === EventSource.OPEN)),
  );
  const publish = (data) =>
    page.evaluate(async (data) => {
      const topics = window.sources.map((_, n) => `/events/stream/${n}`);
      const publish = async (topic) => {
        const answer = await fetch(topic, { method: "POST", body: data });
        await answer.text();
        return answer.status;
      };
      return Promise.all(topics.map(publish));
    }, data);
  equal(await publish("one"), Array(8).fill(200), "published");
  const all = (...expected) =>
    until(expected.join(" and "), async () => {
      const heard = await page.evaluate(() => window.heard);
      return heard.every((data) => JSON.stringify(data) === JSON.stringify(expected));
    });
  await all("one");
  const protocols = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .filter(({ name }) => name.includes("/events/stream/"))
      .map(({ nextHopProtocol }) => nextHopProtocol),
  );
  equal([...new Set(protocols)], ["h2"], "protocols");
  await hub.kill();
  await hub.start();
  equal(await publish("two"), Array(8).fill(200), "published");
  await all("one", "two");
});
