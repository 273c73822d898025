// tidings.js and workers that hang, or that a browser does not have.

import { connect, heard, openPage } from "./browser.js";
import { equal, ok, test, until } from "./harness.js";
import { STREAM, startScript } from "./script.js";

/** A stream that tells each subscriber where it stands, and never ends. */
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
  // The tab that was patient is moved as well, when the worker comes to its senses.
  await until("moved", async () => (await heard(patient, "error")).length === 1, 15_000);
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
  // A tab that comes later knows it as well.
  const other = await openPage(script.url);
  await connect(other, { topics: ["news"] });
  await until("there too", async () =>
    (await other.evaluate(() => window.source.lastEventId)) === "a:99",
  );
});
