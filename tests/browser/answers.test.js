// tidings.js and servers that answer with something other than a stream, or with a bad one.

import { heard, openPage } from "./browser.js";
import { equal, ok, pause, test, until } from "./harness.js";
import { STREAM, startScript } from "./script.js";

/**
 * In the page: a connection, without waiting for it to open. `token` is the source text of a
 * function, as functions do not travel into a page.
 */
async function begin(page, options = {}, token = undefined) {
  await page.evaluate(
    async ({ options, token }) => {
      const { connect } = await import("/tidings.js");
      window.heard = [];
      window.asked = 0;
      if (token) options.token = new Function("problem", token);
      window.source = connect("", { topics: ["news"], ...options });
      for (const type of ["open", "resumed", "reset", "closed", "error"]) {
        window.source.addEventListener(type, ({ detail }) =>
          window.heard.push({ type, data: detail ?? null }),
        );
      }
      window.source.addEventListener("message", ({ data, lastEventId }) =>
        window.heard.push({ type: "message", data, id: lastEventId }),
      );
    },
    { options, token },
  );
}

/** Waits for the connection's end, and gives what it said. */
const closed = (page) => until("closed", async () => (await heard(page, "closed"))[0]);

test("answers: a login page never opens the connection, which reports what it got", async () => {
  const script = await startScript((response) => {
    response.writeHead(302, { location: "/login?return=secret" });
    response.end();
  });
  for (const options of [{}, { worker: "page" }, { token: "a-token" }]) {
    const [page, other] = [await openPage(script.url), await openPage(script.url)];
    for (const one of [page, other]) await begin(one, options);
    for (const one of [page, other]) {
      equal(await closed(one), {
        reason: "not an event stream",
        status: 200,
        contentType: "text/html",
        redirectedTo: `${script.url}/login`,
      });
      equal(await heard(one, "open"), []);
      equal(await one.evaluate(() => window.source.readyState), 2);
    }
  }
});

test("answers: the media type decides, with its parameters and in any case", async () => {
  const types = [
    ["text/event-stream", true],
    ["Text/Event-Stream; charset=utf-8", true],
    ["text/event-stream-not", false],
    ["application/json", false],
    ["text/plain", false],
    [undefined, false],
  ];
  for (const [type, isStream] of types) {
    const script = await startScript((response) => {
      response.writeHead(200, type ? { "content-type": type } : {});
      response.write("data: x\n\n");
    });
    const page = await openPage(script.url);
    await begin(page, { worker: "page" });
    if (isStream) await until(type, async () => (await heard(page)).length === 1);
    else equal((await closed(page)).contentType, type ?? "");
    await page.close();
  }
});

test("answers: a status means ended, rejected for good, or retried", async () => {
  const problem = { code: "forbidden", title: "not yours", detail: "ask for another" };
  const json = { "content-type": "application/problem+json" };
  for (const status of [201, 400, 401, 403, 404, 204]) {
    const script = await startScript((response) => {
      response.writeHead(status, json);
      response.end(status === 204 ? "" : JSON.stringify(problem));
    });
    const page = await openPage(script.url);
    await begin(page, { worker: "page" });
    const said = await closed(page);
    equal(said, status === 204 ? { reason: "ended" } : { reason: "refused", status, problem });
    equal(script.requests.length, 1, `${status}: requests`);
  }
  for (const status of [425, 429, 500, 502, 503, 504, 522]) {
    const script = await startScript((response, n) => {
      if (n === 1) {
        response.writeHead(200, STREAM);
        response.end("retry: 100\nid: a:1\ndata: 1\n\n");
      } else if (n === 2) {
        response.writeHead(status, { "content-type": "text/html" });
        response.end("<h1>Bad gateway</h1>");
      } else {
        response.writeHead(200, { ...STREAM, "tidings-resume": "resumed" });
        response.write("id: a:2\ndata: 2\n\n");
      }
    });
    const page = await openPage(script.url);
    await begin(page, { worker: "page" });
    await until("both", async () => (await heard(page)).length === 2);
    ok((await heard(page, "error")).some((error) => error.status === status), `${status}`);
    equal((await heard(page, "resumed")).length, 1, `${status}: resumed`);
    ok(script.requests[2].url.includes("after=a%3A1"), script.requests[2].url);
    await page.close();
  }
});

/** The wait in milliseconds that the page chose after the first answer: it sleeps in a timer. */
async function waitAfter(head, body, options = {}) {
  const script = await startScript((response, n) => {
    response.writeHead(n === 1 ? (head.status ?? 200) : 200, n === 1 ? head.headers : STREAM);
    // A stream that ends whole may be over; one that is cut is not.
    if (n === 1 && options.isCut) response.write(body);
    else if (n === 1) response.end(body);
    if (n === 1 && options.isCut) setTimeout(() => response.destroy(), 300);
  });
  const page = await openPage(script.url);
  await page.evaluate(() => {
    const { setTimeout } = window;
    window.waits = [];
    window.setTimeout = (fn, ms, ...rest) => {
      window.waits.push(ms);
      // A wait between connections, which resolves a promise, is not waited for.
      return setTimeout(fn, /native code/.test(fn) ? 0 : ms, ...rest);
    };
    window.wait = () => window.waits.filter((ms) => ms !== 60_000).at(-1);
  });
  await begin(page, { worker: "page", ...options });
  await until("asked again", () => script.requests.length === 2);
  const wait = await page.evaluate(() => window.wait());
  await page.close();
  return wait;
}

const DAY_MS = 24 * 60 * 60 * 1000;

test("answers: retry is obeyed from 100 ms to a day, and so is Retry-After", async () => {
  const stream = (retry) =>
    waitAfter({ headers: STREAM }, `retry: ${retry}\n\n`, { isCut: true });
  const between = (wait, least, most) =>
    ok(wait >= least && wait <= most, `${wait} ms is not within ${least} and ${most}`);
  between(await stream("600000"), 600_000, 750_000);
  between(await stream("0"), 100, 125);
  between(await stream("99999999999999999999"), DAY_MS, DAY_MS);
  // A value that is not digits is ignored.
  for (const bad of ["-5", "1e3", "10s", "", "٣"]) between(await stream(bad), 3000, 3750);
  const busy = (after) => waitAfter({ status: 503, headers: { "retry-after": after } }, "");
  between(await busy("120"), 120_000, 150_000);
  const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
  between(await busy(inAnHour), 3_500_000, 4_500_000);
  between(await busy("soon"), 3000, 3750);
});

test("answers: a server whose streams end whole with a day's retry gets two requests", async () => {
  const script = await startScript((response) => {
    response.writeHead(200, STREAM);
    response.end("retry: 86400000\n\n");
  });
  const page = await openPage(script.url);
  await begin(page, { worker: "page" });
  await until("the error", async () => (await heard(page, "error")).length > 0);
  await pause(500);
  equal(script.requests.length, 2);
});

test("answers: a stream that ends at once with retry 0 is not requested in a storm", async () => {
  const script = await startScript((response) => {
    response.writeHead(200, STREAM);
    response.end("retry: 0\n\n");
  });
  const page = await openPage(script.url);
  await begin(page);
  await until("some attempts", () => script.requests.length >= 5);
  const gaps = script.requests.slice(1).map(({ at }, n) => at - script.requests[n].at);
  ok(Math.min(...gaps) >= 80, `${gaps} ms between attempts`);
});

test("answers: a token function that rejects or throws is reported, and called again", async () => {
  const script = await startScript((response) => {
    response.writeHead(200, STREAM);
    response.write("data: in\n\n");
  });
  const page = await openPage(script.url);
  const failing = {
    rejects: "return Promise.reject(new Error('no network'))",
    throws: "throw new Error('no network')",
    "gives two lines": "return 'a\\nb'",
  };
  for (const [how, failure] of Object.entries(failing)) {
    const token = `if (window.asked++ === 0) { ${failure}; } return "good-" + window.asked;`;
    await begin(page, {}, token);
    await until(`${how}: the event`, async () => (await heard(page)).length === 1);
    const [error] = await heard(page, "error");
    equal(error.reason, "no token", how);
    ok(/no network|printable ASCII/.test(error.error), error.error);
    equal(script.requests.at(-1).headers.authorization, "Bearer good-2", how);
    await page.evaluate(() => window.source.close());
  }

  // One that never settles: the page's timers are hurried, as half a minute is long.
  await page.evaluate(() => {
    const { setTimeout } = window;
    window.setTimeout = (fn, ms, ...rest) => setTimeout(fn, ms === 30_000 ? 10 : ms, ...rest);
  });
  const never = "return window.asked++ === 0 ? new Promise(() => {}) : 'settled'";
  await begin(page, {}, never);
  await until("the event", async () => (await heard(page)).length === 1);
  ok((await heard(page, "error"))[0].error.includes("no answer within"), "it is reported");
  await page.evaluate(() => window.source.close());

  // Closed while the function fails: it is not called again, and nothing is sent.
  const requests = script.requests.length;
  await begin(page, {}, "window.asked++; return Promise.reject(new Error('no network'))");
  await until("an error", async () => (await heard(page, "error")).length === 1);
  await page.evaluate(() => window.source.close());
  equal(await closed(page), { reason: "closed here" });
  await pause(1500);
  equal(await page.evaluate(() => window.asked), 1, "calls");
  equal(script.requests.length, requests, "requests");
});

test("answers: a token function that rejects after a rejected token is called again", async () => {
  const problem = { code: "unauthorized", title: "expired" };
  const script = await startScript((response, _, request) => {
    const isFresh = request.headers.authorization === "Bearer fresh";
    const headers = isFresh ? STREAM : { "content-type": "application/json" };
    response.writeHead(isFresh ? 200 : 401, headers);
    if (isFresh) response.write("data: in\n\n");
    else response.end(JSON.stringify(problem));
  });
  const page = await openPage(script.url);
  const token = `
    window.problem = problem;
    window.asked += 1;
    if (window.asked === 1) return "stale";
    if (window.asked === 2) return Promise.reject(new Error("no network"));
    return "fresh";`;
  await begin(page, {}, token);
  await until("the event", async () => (await heard(page)).length === 1);
  equal(await page.evaluate(() => window.problem), problem);
  equal((await heard(page, "error")).map(({ reason }) => reason), ["token refused", "no token"]);

  // A tab with the new token shares the stream; one that has only the old one is refused.
  const second = await openPage(script.url);
  await begin(second, { token: "fresh" });
  await until("open", async () => (await heard(second, "open")).length === 1);
  equal(script.requests.length, 2, "requests");
  const third = await openPage(script.url);
  await begin(third, { token: "stale" });
  equal(await closed(third), { reason: "refused", status: 401, problem });
});

test("answers: tokens that are all rejected are not tried in a storm", async () => {
  const script = await startScript((response) => {
    response.writeHead(401);
    response.end();
  });
  const page = await openPage(script.url);
  await begin(page, { worker: "page" }, "return 'token-' + window.asked++");
  await until("the second refusal", () => script.requests.length === 2);
  await pause(1500);
  equal(script.requests.length, 2, "requests, of which the third comes after three seconds");
});

test("answers: invalid options are errors at once", async () => {
  const script = await startScript((response) => response.end());
  const page = await openPage(script.url);
  const message = (url, options) =>
    page.evaluate(
      async ([url, options]) => {
        const { connect } = await import("/tidings.js");
        try {
          connect(url, options).close();
          return "none";
        } catch (error) {
          return `${error.name}: ${error.message}`;
        }
      },
      [url, options],
    );
  const bad = [
    ["", { token: "two\r\nlines" }, "ASCII"],
    ["", { worker: "shard" }, "one of shared, dedicated, page"],
    ["", { patience: 0 }, "at least 300"],
    ["https://user:secret@hub.example", {}, "without user"],
    ["https://hub.example/?topic=a", {}, "query"],
    ["file:///etc", {}, "http(s)"],
  ];
  for (const [url, options, words] of bad) {
    const said = await message(url, options);
    ok(said.startsWith("TypeError") && said.includes(words), `${url} ${said}`);
  }
});

test("answers: an unknown option that no worker can be sent changes nothing", async () => {
  const script = await startScript((response) => response.writeHead(200, STREAM).flushHeaders());
  const page = await openPage(script.url);
  await page.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.source = connect("", { topics: "news", onmessage: () => {} });
  });
  await until("it is open", () => page.evaluate(() => window.source.readyState === 1));
});
