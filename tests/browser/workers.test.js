// tidings.js and workers that hang, or that a browser does not have.

import { connect, heard, openPage } from "./browser.js";
import { equal, ok, test, until } from "./harness.js";
import { STREAM, startScript } from "./script.js";

/** A stream that tells each subscriber its position, and never ends. */
const quiet = () => startScript((response) => {
  response.writeHead(200, { ...STREAM, "tidings-resume": "live" });
  response.write("id: a:1\n\n");
});

/** The shared workers of a page's origin. */
async function sharedWorkers(page) {
  const session = await page.context().newCDPSession(page);
  const { targetInfos } = await session.send("Target.getTargets");
  const address = new URL(page.url()).origin;
  return targetInfos.filter(({ type, url }) => type === "shared_worker" && url.startsWith(address));
}

test("workers: a dedicated worker that hangs is ended, and its page gets another", async () => {
  const script = await quiet();
  const page = await openPage(script.url);
  await connect(page, { topics: ["news"], worker: "dedicated", patience: 1200 });
  await page.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.second = connect("", { topics: ["other"], worker: "dedicated", patience: 1200 });
  });
  await until("both streams", () => script.open() === 2);
  await until("their ids", () =>
    page.evaluate(() => window.source.lastEventId && window.second.lastEventId),
  );
  const [hung] = page.workers();
  const ended = new Promise((resolve) => hung.once("close", resolve));
  script.hang();
  await ended;
  await until("both streams again", () => script.requests.length === 4 && script.open() === 2);
  equal((await heard(page, "error"))[0].reason, "worker lost");
  equal(page.workers().length, 1, "workers");
  // They continue where they were.
  ok(script.requests.slice(2).every(({ url }) => url.includes("after=a%3A1")), "resumed");
});

test("workers: a page whose timers are slowed down notices a worker that hangs", async () => {
  const script = await quiet();
  const page = await openPage(script.url);
  // As browsers do with those of hidden pages.
  await page.evaluate(() => {
    const { setInterval } = window;
    window.setInterval = (act, ms) => setInterval(act, 3 * ms);
  });
  await connect(page, { topics: ["news"], worker: "dedicated", patience: 600 });
  script.hang();
  await until("lost", async () => (await heard(page, "error"))[0]?.reason === "worker lost");
  await until("the stream again", () => script.requests.length === 2 && script.open() === 1);
});

test("workers: a shared worker that hung ends, and all tabs share the next one", async () => {
  const script = await quiet();
  const patient = await openPage(script.url);
  await connect(patient, { topics: ["news"], patience: 60_000 });
  const page = await openPage(script.url);
  await connect(page, { topics: ["news"], patience: 1200 });
  equal([(await sharedWorkers(page)).length, script.open()], [1, 1], "workers and streams");
  const browser = await page.context().newCDPSession(page);
  const [{ targetId }] = await sharedWorkers(page);
  const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: false });
  const expression = "const end = Date.now() + 4000; while (Date.now() < end);";
  const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } });
  await browser.send("Target.sendMessageToTarget", { sessionId, message });
  await until("lost", async () => (await heard(page, "error")).length === 1);
  equal((await heard(page, "error"))[0].reason, "worker lost");
  // The tab that was patient is moved as well, when the worker responds again.
  await until("moved", async () => (await heard(patient, "error")).length === 1);
  await until("one worker", async () => (await sharedWorkers(page)).length === 1);
  await until("one stream", () => script.open() === 1);
  for (const one of [patient, page]) equal(await one.evaluate(() => window.source.host), "shared");
});

test("workers: where a browser has no kind of worker, the next best is used", async () => {
  const script = await quiet();
  for (const [missing, host] of [
    [["SharedWorker"], "dedicated"],
    [["SharedWorker", "Worker"], "page"],
  ]) {
    const page = await openPage(script.url);
    await page.evaluate((missing) => missing.forEach((name) => delete window[name]), missing);
    await connect(page, { topics: ["news"] });
    equal(await page.evaluate(() => window.source.host), host);
    await page.close();
  }
});

test("workers: heartbeats move the id that the next worker begins after", async () => {
  let stream;
  const script = await startScript((response) => {
    response.writeHead(200, { ...STREAM, "tidings-resume": "live" });
    response.write("id: a:1\n\n");
    stream = response;
  });
  const page = await openPage(script.url);
  await connect(page, { topics: ["news"] });
  const id = () => page.evaluate(() => window.source.lastEventId);
  await until("the first", async () => (await id()) === "a:1");
  stream.write("id: a:99\n\n");
  await until("the second", async () => (await id()) === "a:99");
  // A tab that joins later knows it as well.
  const other = await openPage(script.url);
  await connect(other, { topics: ["news"] });
  await until("there too", async () =>
    (await other.evaluate(() => window.source.lastEventId)) === "a:99",
  );
});

/**
 * A hub whose stream and history answer on a test's command. `log` adds events to history, `send`
 * sends them to the stream. The first request for history is answered by `release`.
 */
async function twoFaces() {
  const history = [];
  let stream;
  let release;
  const script = await startScript((response, _, { url }) => {
    const query = new URL(url, "http://hub").searchParams;
    if (!query.has("limit")) {
      response.writeHead(200, { ...STREAM, "tidings-resume": "live" });
      response.write("id: a:0\n\n");
      stream = response;
      return;
    }
    const answer = () => {
      const last = Number(query.get("last"));
      const after = last ? history.length - last : Number(query.get("after").slice(2));
      const events = history.slice(after, after + 1000);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ events, next: events.at(-1)?.id ?? query.get("after") }));
    };
    if (release) answer();
    else release = answer;
  });
  const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
  const log = (from, to) =>
    history.push(
      ...numbers(from, to).map((n) => {
        return { id: `a:${n}`, topic: "news", event: "message", data: `${n}` };
      }),
    );
  const envelope = (n) =>
    JSON.stringify({ id: `a:${n}`, topic: "news", event: "message", data: `${n}` });
  const send = (from, to) =>
    stream.write(
      numbers(from, to)
        .map((n) => `id: a:${n}\ndata: ${envelope(n)}\n\n`)
        .join(""),
    );
  const page = await openPage(script.url);
  await connect(page, { topics: ["news"], worker: "page" });
  const passed = (n) => until(`${n} pass`, async () => (await heard(page)).at(-1) === `${n}`);
  /** A second connection of the page, which asks for history. */
  const join = async (start) => {
    await page.evaluate(async (start) => {
      const { connect } = await import("/tidings.js");
      window.later = [];
      window.second = connect("", { topics: ["news"], worker: "page", ...start });
      window.second.addEventListener("message", ({ data }) => window.later.push(Number(data)));
    }, start);
    await until("it asks for history", () => release);
  };
  const later = async (last) => {
    await until(`${last} came`, () => page.evaluate((n) => window.later.at(-1) === n, last));
    return page.evaluate(() => window.later);
  };
  return { log, send, passed, join, later, release: () => release() };
}

test("workers: a tab catches up while more events arrive than are held back for it", async () => {
  const { log, send, passed, join, later, release } = await twoFaces();
  log(1, 12_000);
  send(1, 10);
  await passed(10);
  await join({ after: "a:5" });
  send(11, 12_000);
  await passed(12_000);
  release();
  await later(12_000);
  log(12_001, 12_001);
  send(12_001, 12_001);
  const all = await later(12_001);
  equal([all.length, all[0]], [12_001 - 5, 6]);
  ok(
    all.every((n, at) => n === at + 6),
    "in order, once, without a gap",
  );
});

test("workers: history and live events join in order, whichever is ahead", async () => {
  const behind = await twoFaces();
  behind.log(1, 8);
  behind.send(1, 4);
  await behind.passed(4);
  await behind.join({ last: 2 });
  behind.send(5, 8);
  await behind.passed(8);
  behind.release();
  await behind.later(8);
  behind.send(9, 9);
  equal(await behind.later(9), [7, 8, 9], "history was asked before 5 to 8, and answered after");

  const ahead = await twoFaces();
  ahead.log(1, 8);
  ahead.send(1, 4);
  await ahead.passed(4);
  await ahead.join({ after: "a:2" });
  ahead.release();
  await ahead.later(8);
  ahead.send(5, 10);
  equal(await ahead.later(10), [3, 4, 5, 6, 7, 8, 9, 10], "history had 5 to 8 before the stream");
});
