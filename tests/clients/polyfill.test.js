// The npm package `event-source-polyfill` (Yaffle's), which sends the last id in the query, and
// closes a stream that is silent for 45 seconds.

import polyfill from "event-source-polyfill";
import { after, equal, ok, test, until } from "../browser/harness.js";
import { listen, startMercure, token } from "./mercure.js";

const { EventSourcePolyfill } = polyfill;

for (const name of [undefined, "Last-Event-Id", "lastEventID"]) {
  test(`event-source-polyfill: resumes over kill -9 with the parameter ${name}`, async () => {
    // It tells the console of every connection that breaks, with its stack.
    const { error } = console;
    console.error = () => {};
    after(() => (console.error = error));
    const hub = await startMercure(["--heartbeat", "1s"]);
    const authorization = `Bearer ${token(["--subscribe", "*"])}`;
    const source = new EventSourcePolyfill(hub.mercure({ topic: "news" }), {
      headers: { authorization },
      ...(name && { lastEventIdQueryParameterName: name }),
    });
    const heard = listen(source);
    const begins = [];
    source.addEventListener("open", ({ headers }) => begins.push(headers?.get("last-event-id")));
    await until("open", () => begins.length === 1);
    const last = await hub.post({ topic: "news", data: "1", private: "on" });
    await until("one", () => heard.length === 1);
    await hub.kill("SIGKILL");
    await hub.start();
    await hub.post({ topic: "news", data: "2" });
    await until("two", () => heard.length >= 2);
    equal(
      heard.map(({ data }) => data),
      ["1", "2"],
    );
    ok(begins.includes(last), `the stream says where it begins: ${begins}`);
  });
}
