// Streams that outlive their tokens.

import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { heard, openBrowser, openPage } from "./browser.js";
import { selfSigned } from "./certificate.js";
import { after, equal, ok, pause, temporaryFile, test, until } from "./harness.js";
import { startHub } from "./hub.js";
import { mint } from "./token.js";

const BLANK = "/healthz";

const SECRET = "a-secret-of-thirty-two-characters";

/** How long tokens last that are replaced while a test runs, in seconds. */
const SHORT = 5;

/** Tokens that a stream has in a row. */
const ROW = 12;

const startGuardedHub = (options = []) =>
  startHub(["--jwt-secret-file", temporaryFile("secret", SECRET), ...options]);

const reader = (seconds = SHORT) => mint(SECRET, { subscribe: ["**"] }, seconds);

/** What the hub answers to the test itself, which need not trust its certificate. */
function ask(hub, method, path, body) {
  const token = mint(SECRET, { subscribe: ["**"], publish: ["**"] }, 300);
  const send = hub.url.startsWith("https") ? requestTls : requestPlain;
  const headers = { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const options = { method, headers, rejectUnauthorized: false, timeout: 10_000 };
    const request = send(hub.url + path, options, async (response) => {
      let text = "";
      for await (const piece of response) text += piece;
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** Streams that are open, and those that the hub has closed or lost. */
async function streams(hub) {
  const text = await ask(hub, "GET", "/metrics");
  const sum = (name) =>
    [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)`, "gm"))]
      .map(([, n]) => Number(n))
      .reduce((one, other) => one + other, 0);
  return { open: sum("tidings_subscribers"), closed: sum("tidings_subscribers_closed_total") };
}

/** In the page: a connection as the last of `window.sources`, whose tokens are short. */
async function listen(page, options) {
  await page.evaluate(async (options) => {
    const { connect } = await import("/tidings.js");
    const noted = { asked: 0, open: 0, data: [], trouble: [] };
    const token = () => {
      noted.asked += 1;
      return window.mint();
    };
    const source = connect("", { topics: "news", token, ...options });
    source.onopen = () => (noted.open += 1);
    source.onmessage = ({ data }) => noted.data.push(data);
    for (const type of ["error", "closed", "reset", "resumed", "tidings.expiring"]) {
      source.addEventListener(type, ({ detail }) =>
        noted.trouble.push(`${type} ${JSON.stringify(detail)}`),
      );
    }
    (window.sources ??= []).push({ source, noted });
  }, options);
  await until("open", async () => (await all(page)).at(-1).open === 1);
}

const all = (page) => page.evaluate(() => window.sources.map(({ noted }) => noted));

const hosts = (page) => page.evaluate(() => window.sources.map(({ source }) => source.host));

/** Publishes numbers until `over`, and returns them. */
async function publishUntil(hub, over, topic = "news") {
  const sent = [];
  while (!(await over())) {
    sent.push(`${sent.length}`);
    await ask(hub, "POST", `/events/${topic}`, sent.at(-1));
    await pause(500);
  }
  return sent;
}

const TLS = ["--ignore-certificate-errors"];

for (const tabs of [1, 3]) {
  for (const protocol of ["http/1.1", "h2"]) {
    const over = protocol === "h2" ? "HTTP/2 with TLS" : "HTTP/1.1";
    const many = tabs === 1 ? "one tab" : "three tabs";
    const sentence = `tokens: ${ROW} short ones in a row are one connection, ${many}, ${over}`;
    const fn = async () => {
      const options = [];
      let open = openPage;
      if (protocol === "h2") {
        const { key, certificate } = selfSigned();
        options.push("--tls-cert", certificate, "--tls-key", key);
        const browser = await openBrowser({ flags: TLS });
        after(() => browser.close());
        open = () => browser.newPage();
      }
      const hub = await startGuardedHub(options);
      const pages = [];
      for (let n = 0; n < tabs; n += 1) {
        const page = await open();
        await page.goto(hub.url + BLANK);
        await page.exposeFunction("mint", () => reader());
        // One that shares its connection with the other tabs, and one that has its own.
        await listen(page, { worker: "shared" });
        await listen(page, { worker: "page" });
        equal(await hosts(page), ["shared", "page"]);
        pages.push(page);
      }
      equal(await streams(hub), { open: 1 + tabs, closed: 0 });
      const before = await Promise.all(pages.map(all));
      const sent = await publishUntil(hub, async () => {
        const noted = (await Promise.all(pages.map(all))).flat();
        return noted.every(({ asked }) => asked > ROW);
      });
      for (const [n, page] of pages.entries()) {
        const own = before[n].map(({ data }) => data.length);
        await until("all", async () =>
          (await all(page)).every(({ data }, m) => data.length === own[m] + sent.length),
        );
        for (const [m, { data, open, trouble }] of (await all(page)).entries()) {
          equal(data.slice(own[m]), sent);
          equal([trouble, open], [[], 1]);
        }
      }
      equal(await streams(hub), { open: 1 + tabs, closed: 0 }, "all of them the first ones");
      const protocols = await pages[0].evaluate(() =>
        performance
          .getEntriesByType("resource")
          .filter(({ name }) => name.includes("/tidings/"))
          // One that came from the cache has none.
          .flatMap(({ nextHopProtocol }) => nextHopProtocol || []),
      );
      equal([...new Set(protocols)], [protocol]);
    };
    test(sentence, fn, { watch: true });
  }
}

async function sixConnections() {
  const hub = await startGuardedHub();
  const page = await openPage(hub.url + BLANK);
  await page.exposeFunction("mint", () => reader());
  for (let n = 0; n < 6; n += 1) {
    await listen(page, { topics: [`news/${n}`, "news/all"], worker: "page" });
  }
  equal(await streams(hub), { open: 6, closed: 0 });
  // Over HTTP/1.1 there is no seventh connection for the requests that bring tokens.
  const sent = await publishUntil(
    hub,
    async () => (await all(page)).every(({ asked }) => asked > 3),
    "news/all",
  );
  await until("all", async () =>
    (await all(page)).every(({ data }) => data.length === sent.length),
  );
  for (const { data, trouble } of await all(page)) {
    equal(data, sent);
    equal(trouble, []);
  }
  const { closed } = await streams(hub);
  ok(closed > 0, "the requests were blocked");
}

const unseen = "tokens: where six streams block the request, one begins again for all, unseen";
test(unseen, sixConnections, { watch: true });

async function sixEventSources() {
  const hub = await startGuardedHub(["--retry", "1s"]);
  // Cookies of all ports are the same, and another hub would remove this hub's.
  const browser = await openBrowser();
  after(() => browser.close());
  const pages = [];
  const renew = (page, token) =>
    page.evaluate(async (token) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch("/session", { method: "POST", headers })).status;
    }, token);
  for (let n = 0; n < 3; n += 1) {
    const page = await browser.newPage();
    await page.goto(hub.url + BLANK);
    pages.push(page);
  }
  equal(await renew(pages[0], reader(8)), 200);
  for (const page of pages) {
    await page.evaluate(() => {
      window.heard = [];
      window.sources = [0, 1].map((n) => {
        const source = new EventSource("/events/news");
        for (const type of ["open", "error", "message", "tidings.expiring"])
          source.addEventListener(type, ({ data }) =>
            window.heard.push({ type: `${type} ${n}`, data, state: source.readyState }),
          );
        return source;
      });
    });
  }
  const every = async (type) => {
    const all = pages.flatMap((page) => [0, 1].map((n) => heard(page, `${type} ${n}`)));
    return (await Promise.all(all)).map((one) => one.length);
  };
  await until("six", async () => (await streams(hub)).open === 6);
  const isTold = async () => (await every("tidings.expiring")).every((n) => n === 1);
  await until("every page knows", isTold);
  const renewal = renew(pages[1], reader(300));
  const sent = await publishUntil(hub, async () => (await every("open")).every((n) => n === 2));
  equal(await renewal, 200, "the request went out when a stream had ended");
  await until("all", async () => (await every("message")).every((n) => n === sent.length));
  for (const page of pages) {
    for (const n of [0, 1]) {
      equal(await heard(page, `message ${n}`), sent);
      equal((await heard(page, `error ${n}`)).length, 1, "cut once");
    }
  }
}

const cutOnce = "sessions: six EventSources over HTTP/1.1 are cut once, renewed, and resume";
test(cutOnce, sixEventSources, { watch: true });
