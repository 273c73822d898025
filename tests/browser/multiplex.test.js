// tidings.js: one stream for connections with different topics.

import { connect, heard, openPage } from "./browser.js";
import { equal, ok, pause, temporaryFile, test, until } from "./harness.js";
import { startHub } from "./hub.js";
import { STREAM, startScript } from "./script.js";
import { mint } from "./token.js";

const BLANK = "/healthz";

/** In the page: a connection that notes topic, type and data of all it hears. */
async function listen(page, options) {
  await connect(page, options);
  await page.evaluate(() => {
    window.all = [];
    window.source.onevent = ({ topic, type, data }) => window.all.push(`${topic} ${type} ${data}`);
  });
}

const all = (page) => page.evaluate(() => window.all);

test("multiplex: with different topics they share a stream, and hear their own", async () => {
  const hub = await startHub();
  const topics = { one: "a/1", two: ["a/*", "b"], three: [], four: "c/**" };
  const pages = {};
  for (const [name, wanted] of Object.entries(topics)) {
    pages[name] = await openPage(hub.url + BLANK);
    await listen(pages[name], { topics: wanted, multiplex: true });
  }
  await until("one connection", async () => (await hub.subscribers()) === 1);
  for (const topic of ["a/1", "a/2", "b", "c", "c/d/e", "f"]) {
    await hub.publish(topic, "x", { event: topic === "b" ? "alarm" : undefined });
  }
  await until("all of them", async () => (await all(pages.three)).length === 6);
  await until("the others", async () => (await all(pages.four)).length === 1);
  equal(await all(pages.one), ["a/1 message x"]);
  equal(await all(pages.two), ["a/1 message x", "a/2 message x", "b alarm x"]);
  equal(await all(pages.four), ["c/d/e message x"]);
  equal(await hub.subscribers(), 1);
});

test("multiplex: one that joins gets its history and nothing older, with shared ids", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  const publish = async (topic, from, to) => {
    for (let n = from; n <= to; n += 1) {
      const answer = await fetch(`${hub.url}/events/${topic}?id=${n}`, {
        method: "POST",
        body: `${n}`,
      });
      equal(answer.status, 200);
    }
  };
  const data = (topic, from, to) =>
    Array.from({ length: to - from + 1 }, (_, n) => `${topic} message ${from + n}`);
  const first = await openPage(hub.url + BLANK);
  await listen(first, { topics: "a", multiplex: true });
  // Ids of the publisher's own: event 5 of b is older than event 5 of a.
  await publish("b", 1, 9);
  await publish("a", 1, 9);
  await until("nine", async () => (await all(first)).length === 9);

  const live = await openPage(hub.url + BLANK);
  await listen(live, { topics: "b", multiplex: true });
  const late = await openPage(hub.url + BLANK);
  await late.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.all = [];
    window.source = connect("", { topics: ["b", "c"], last: 3, multiplex: true });
    window.source.onevent = ({ topic, type, data }) => window.all.push(`${topic} ${type} ${data}`);
  });
  await until("history", async () => (await all(late)).length === 3);
  await hub.kill();
  await hub.start();
  await publish("b", 10, 11);
  await publish("a", 10, 11);
  await until("the live ones", async () => (await all(live)).length === 2);
  await until("the last ones", async () => (await all(late)).length === 5);
  await until("the first ones", async () => (await all(first)).length === 11);
  equal(await all(first), data("a", 1, 11));
  equal(await all(live), data("b", 10, 11));
  equal(await all(late), data("b", 7, 11));
  equal(await hub.subscribers(), 1);
});

test("multiplex: one that joins is open when it has its place, and misses nothing", async () => {
  let stream;
  let answerHistory;
  const script = await startScript((response, _, { url }) => {
    if (url.includes("from=now")) {
      answerHistory = (next) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ events: [], next }));
      };
      return;
    }
    response.writeHead(200, { ...STREAM, "tidings-resume": "live" });
    response.write("id: a:1\n\n");
    stream = response;
  });
  const page = await openPage(script.url);
  await connect(page, { topics: "a", multiplex: true, worker: "page" });
  await page.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.other = connect("", { topics: "b", multiplex: true, worker: "page" });
    window.data = [];
    window.other.onmessage = ({ data }) => window.data.push(data);
  });
  await until("the place is asked for", () => answerHistory);
  await until("one stream again", () => script.open() === 2);
  // What is published before the hub has said where "now" is may be left out: it is not open yet.
  equal(await page.evaluate(() => window.other.readyState), 0);
  answerHistory("a:1");
  await until("open", () => page.evaluate(() => window.other.readyState === 1));
  const event = { id: "a:2", topic: "b", event: "message", data: "first" };
  stream.write(`id: a:2\ndata: ${JSON.stringify(event)}\n\n`);
  await until("the event", () => page.evaluate(() => window.data[0] === "first"));
});

test("multiplex: topics that nobody wants leave the stream, and nothing is lost", async () => {
  const hub = await startHub();
  const [stays, goes] = [await openPage(hub.url + BLANK), await openPage(hub.url + BLANK)];
  const requests = [];
  stays.context().on("request", (request) => requests.push(request.url()));
  await listen(stays, { topics: "a", multiplex: true, worker: "page" });
  await stays.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.other = connect("", { topics: "b", multiplex: true, worker: "page" });
  });
  await until("both", () => requests.some((url) => /topic=a&topic=b/.test(url)));
  await goes.close();
  await stays.evaluate(() => window.other.close());
  let n = 0;
  await until("only one", async () => {
    await hub.publish("a", `${(n += 1)}`);
    return /events\?topic=a&after/.test(requests.at(-1));
  });
  await hub.publish("a", "last");
  await until("the last", async () => (await all(stays)).at(-1) === "a message last");
  equal((await all(stays)).length, n + 1);
});

test("multiplex: a topic that a token may not read costs the others nothing", async () => {
  const keys = [
    ["all", ["**"]],
    ["narrow", ["a/**", "c"]],
  ].map(([key, subscribe]) => {
    const granted = JSON.stringify(subscribe);
    const named = `name = "${key}"\nkey = "the-only-key-for-${key}"\npublish = ["**"]`;
    return `[[keys]]\n${named}\nsubscribe = ${granted}\n`;
  });
  const hub = await startHub(["--config", temporaryFile("hub.toml", keys.join(""))]);
  const token = "the-only-key-for-narrow";
  const page = await openPage(hub.url + BLANK);
  await listen(page, { topics: "a/1", multiplex: true, token });
  const refused = await openPage(hub.url + BLANK);
  await refused.evaluate(async (token) => {
    const { connect } = await import("/tidings.js");
    window.heard = [];
    window.source = connect("", { topics: "secret", multiplex: true, token });
    window.source.onclosed = ({ detail }) => window.heard.push({ type: "closed", data: detail });
  }, token);
  const [closed] = await until("refused", async () => {
    const all = await heard(refused, "closed");
    return all.length && all;
  });
  equal([closed.reason, closed.status], ["refused", 403]);
  const other = await openPage(hub.url + BLANK);
  await listen(other, { topics: "c", multiplex: true, token });
  for (const topic of ["a/1", "c"]) await hub.publish(topic, "x", { token });
  await until("a", async () => (await all(page)).length === 1);
  await until("c", async () => (await all(other)).length === 1);
  equal(await heard(page, "closed"), []);
  await until("one stream", async () => {
    const answer = await fetch(`${hub.url}/stats`, {
      headers: { authorization: "Bearer the-only-key-for-all" },
    });
    return (await answer.json()).subscribers === 1;
  });
});

test("tidings.js: handlers as properties; each event knows its topic and its time", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url + BLANK);
  const began = Date.now();
  await page.evaluate(async () => {
    const { connect } = await import("/tidings.js");
    window.heard = [];
    const source = connect("", { topics: "rooms/*" });
    const note = (name) => (event) => {
      window.heard.push([name, event.type, event.topic, event.data, event.time?.getTime()]);
    };
    source.onopen = note("never");
    source.onopen = note("onopen");
    source.onmessage = note("onmessage");
    source.onevent = note("onevent");
    source.onclosed = ({ detail }) => window.heard.push(["onclosed", detail.reason]);
    window.source = source;
  });
  await until("open", () => page.evaluate(() => window.heard.length === 1));
  await hub.publish("rooms/7", '{"topic":"forged"}');
  await hub.publish("rooms/8", "loud", { event: "closed" });
  await until("both", () => page.evaluate(() => window.heard.length === 4));
  const handlers = await page.evaluate(() => {
    const { onopen, onerror } = window.source;
    window.source.onmessage = null;
    window.source.close();
    return [typeof onopen, onerror];
  });
  equal(handlers, ["function", null]);
  const noted = await page.evaluate(() => window.heard);
  equal(
    noted.map((one) => one.slice(0, 4)),
    [
      ["onopen", "open", null, null],
      ["onmessage", "message", "rooms/7", '{"topic":"forged"}'],
      ["onevent", "message", "rooms/7", '{"topic":"forged"}'],
      // The connection has not closed: somebody has published an event with this type.
      ["onevent", "closed", "rooms/8", "loud"],
      ["onclosed", "closed here"],
    ],
  );
  ok(Math.abs(noted[1][4] - began) < 60_000, `${noted[1][4]}`);
});

test("tidings.js: with from it begins with all that is kept", async () => {
  const hub = await startHub();
  for (const n of [1, 2, 3]) await hub.publish("run", `${n}`);
  const pages = [await openPage(hub.url + BLANK), await openPage(hub.url + BLANK)];
  // The second joins the stream of the first.
  for (const page of pages) {
    await connect(page, { topics: "run", from: "start" });
    await until("all", async () => (await heard(page)).length === 3);
  }
  await hub.publish("run", "4");
  for (const page of pages) {
    await until("the next", async () => (await heard(page)).length === 4);
    equal(await heard(page), ["1", "2", "3", "4"]);
  }
  equal(await hub.subscribers(), 1);
});

test("tidings.js: where tabs cannot share a connection, the console says so once", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url + BLANK);
  const warnings = [];
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  await page.evaluate(() => delete window.SharedWorker);
  await connect(page, { topics: "a" });
  await connect(page, { topics: "b" });
  equal(warnings.length, 1, `${warnings}`);
  ok(warnings[0].includes("SharedWorker"), warnings[0]);
});
