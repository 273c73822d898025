// The npm package `eventsource`, as server-side JavaScript uses it.

import { EventSource } from "eventsource";
import { equal, test, until } from "../browser/harness.js";
import { listen, startMercure, token } from "./mercure.js";

/** With a token in the header. */
function open(hub, query, words) {
  const bearer = token(words);
  return new EventSource(hub.mercure(query), {
    fetch: (url, init) =>
      fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${bearer}` } }),
  });
}

test("eventsource: every event arrives once over kill -9, the private ones too", async () => {
  const hub = await startMercure();
  const source = open(hub, { topic: "https://x/books/{id}" }, ["--subscribe", "https://x/books/1"]);
  const heard = listen(source);
  await until("open", () => source.readyState === 1);
  const ids = [];
  const publish = async (n) => {
    const fields = { topic: "https://x/books/1", data: `${n}` };
    if (n % 2) fields.private = "on";
    ids.push(await hub.post(fields));
    await hub.post({ topic: "https://x/books/2", data: "not granted", private: "on" });
  };
  for (let n = 0; n < 5; n += 1) await publish(n);
  await until("five events", () => heard.length === 5);
  await hub.kill("SIGKILL");
  await hub.start();
  for (let n = 5; n < 10; n += 1) await publish(n);
  await until("ten events", () => heard.length >= 10);
  equal(
    heard.map(({ data }) => data),
    Array.from({ length: 10 }, (_, n) => `${n}`),
  );
  equal(
    heard.map(({ id }) => id),
    ids,
  );
});

test("eventsource: subscription events of 1.0 have their own type", async () => {
  const hub = await startMercure(["--mercure-issuer", "https://login.example"]);
  const audience = `${hub.url}/.well-known/mercure`;
  const one = ["--mercure-version", "1.0", "--issuer", "https://login.example"];
  const all = "/.well-known/mercure/subscriptions/*";
  const words = [...one, "--audience", audience, "--subscribe", `urlpattern:${all}`];
  const watcher = open(hub, { match_urlpattern: all }, words);
  const heard = listen(watcher, "mercure");
  await until("its own", () => heard.length === 1);
  const other = open(hub, { match: "books" }, [...words, "--payload", '{"user":7}']);
  listen(other);
  await until("another", () => heard.length === 2);
  other.close();
  await until("its end", () => heard.length === 3);
  const [came, went] = heard.slice(1).map(({ data }) => JSON.parse(data));
  equal([came.match, came.active, went.active], ["books", true, false]);
  equal(came.id, went.id);
});
