// @tidings-hub/react with React 19.

import { equal, ok, pause, test, until } from "./harness.js";
import { startHub } from "./hub.js";
import { openApp, renderOnServer } from "./react_app.js";

const NEWS = `
  import { StrictMode, useState } from "react";
  import { createRoot } from "react-dom/client";
  import { useEvents } from "@tidings-hub/react";

  function News({ topics }) {
    const { events, status } = useEvents("", { topics, last: 3, keep: 5 });
    return <>
      <p id="status">{status}</p>
      <ol>{events.map((event) => <li key={event.lastEventId}>{event.topic} {event.data}</li>)}</ol>
    </>;
  }

  function App() {
    const [topics, setTopics] = useState("news/a");
    const [isShown, setShown] = useState(true);
    window.setTopics = setTopics;
    window.setShown = setShown;
    return isShown ? <News topics={topics} /> : <p id="status">unmounted</p>;
  }

  createRoot(document.querySelector("#root")).render(<StrictMode><App /></StrictMode>);
`;

const shown = (page) => page.locator("li").allTextContents();
const status = (page) => page.locator("#status").textContent();

test("react: under StrictMode each event is shown once; other topics replace them", async () => {
  const hub = await startHub();
  for (const n of [1, 2, 3, 4]) await hub.publish("news/a", `${n}`);
  const page = await openApp(hub, NEWS);
  await until("history", async () => (await shown(page)).length === 3);
  equal(await shown(page), ["news/a 2", "news/a 3", "news/a 4"]);
  await until("open", async () => (await status(page)) === "open");
  await until("one connection", async () => (await hub.subscribers()) === 1);
  for (const n of [5, 6, 7]) await hub.publish("news/a", `${n}`);
  await until("the latest five", async () => (await shown(page)).at(-1) === "news/a 7");
  equal(
    await shown(page),
    [3, 4, 5, 6, 7].map((n) => `news/a ${n}`),
  );
  await hub.publish("news/b", "other");
  await page.evaluate(() => window.setTopics("news/b"));
  await until("the other topic", async () => (await shown(page)).includes("news/b other"));
  equal(await shown(page), ["news/b other"]);
  await until("one connection", async () => (await hub.subscribers()) === 1);
  await page.evaluate(() => window.setShown(false));
  await until("none", async () => (await hub.subscribers()) === 0);
  equal(page.problems, []);
});

test("react: mounted and unmounted in a hurry it leaves no connection behind", async () => {
  const hub = await startHub();
  const page = await openApp(hub, NEWS);
  await until("open", async () => (await status(page)) === "open");
  // Each change comes before the worker has answered the one before.
  for (const wait of [0, 0, 1, 2, 5, 10, 20, 40]) {
    await page.evaluate(() => window.setShown(false));
    await pause(wait);
    await page.evaluate(() => window.setShown(true));
    await pause(wait);
  }
  await until("open again", async () => (await status(page)) === "open");
  await until("one connection", async () => (await hub.subscribers()) === 1);
  await hub.publish("news/a", "once");
  await until("it", async () => (await shown(page)).length === 1);
  await page.evaluate(() => window.setShown(false));
  await until("none", async () => (await hub.subscribers()) === 0);
  equal(page.problems, []);
});

test("react: after a reset the list begins again", async () => {
  const hub = await startHub(["--store", "memory", "--retry", "300ms"]);
  await hub.publish("news/a", "before");
  const page = await openApp(hub, NEWS);
  await until("history", async () => (await shown(page)).length === 1);
  await hub.kill();
  await hub.start();
  await hub.publish("news/a", "after");
  await until(
    "only what there is",
    async () => {
      const all = await shown(page);
      return all.length === 1 && all[0] === "news/a after";
    },
  );
});

test("react: the latest handlers are called, and none after unmounting", async () => {
  const hub = await startHub();
  const page = await openApp(
    hub,
    `
    import { StrictMode, useState } from "react";
    import { createRoot } from "react-dom/client";
    import { useConnection } from "@tidings-hub/react";

    window.heard = [];
    function App() {
      const [n, setN] = useState(0);
      window.setN = setN;
      // Events wait while it renders, and React cleans its usual effects up after them.
      const busy = performance.now() + (n === "off" ? 50 : 0);
      while (performance.now() < busy);
      return n === "off" ? null : <Listener n={n} />;
    }
    function Listener({ n }) {
      const { status } = useConnection("", { topics: "news" }, {
        onevent: ({ data, type }) => window.heard.push([n, type, data].join(" ")),
      });
      return <p id="status">{status}</p>;
    }
    createRoot(document.querySelector("#root")).render(<StrictMode><App /></StrictMode>);
  `,
  );
  await until("open", async () => (await status(page)) === "open");
  await hub.publish("news", "1", { event: "alarm" });
  await until("one", () => page.evaluate(() => window.heard.length === 1));
  await page.evaluate(() => window.setN(7));
  await pause(100);
  equal(await hub.subscribers(), 1, "the same connection");
  await hub.publish("news", "2");
  await until("two", () => page.evaluate(() => window.heard.length === 2));
  // Events come all the while: those after the element is gone belong to nobody.
  await page.evaluate(() => {
    window.atTheEnd = undefined;
    new MutationObserver((_, observer) => {
      if (document.querySelector("#status")) return;
      observer.disconnect();
      window.atTheEnd = window.heard.length;
    }).observe(document.querySelector("#root"), { childList: true, subtree: true });
  });
  let isGoing = true;
  const publishing = (async () => {
    for (let n = 3; isGoing; n++) await hub.publish("news", `${n}`);
  })();
  await until("some of them", () => page.evaluate(() => window.heard.length > 12));
  await page.evaluate(() => window.setN("off"));
  await until("no connection", async () => (await hub.subscribers()) === 0);
  isGoing = false;
  await publishing;
  const { atTheEnd, all } = await page.evaluate(() => ({ atTheEnd, all: window.heard }));
  equal(all.slice(0, 2), ["0 alarm 1", "7 message 2"]);
  equal(all.length, atTheEnd, "heard after unmounting");
});

test("react: a server renders it without opening anything", async () => {
  const source = NEWS.replace(/import \{ createRoot \}.*\n/, "")
    .replace(/createRoot[^]*$/, "")
    .concat(
      `
      import { renderToString } from "react-dom/server";
      export const html = renderToString(<StrictMode><App /></StrictMode>);
    `,
    )
    .replaceAll("window.", "globalThis.");
  const { html } = await renderOnServer(source);
  ok(html.includes("idle"), html);
});

/** What both halves of the next tests render. */
const STOCKS = `
  import { StrictMode, useState } from "react";
  import { useTidingsState } from "@tidings-hub/react";

  function Stocks({ page, topics }) {
    const { values, status, isReady } = useTidingsState("", { topics, page, parse: Number });
    globalThis.rendered = (globalThis.rendered ?? 0) + 1;
    return <>
      <p id="status">{status}</p>
      <p id="ready">{String(isReady)}</p>
      <ol>{[...values].sort().map(([key, value]) => <li key={key}>{key} {value + 0.5}</li>)}</ol>
    </>;
  }

  function App({ page }) {
    const [topics, setTopics] = useState("stocks");
    globalThis.setTopics = setTopics;
    return <StrictMode><Stocks page={page} topics={topics} /></StrictMode>;
  }
`;

test("react: under StrictMode a state is shown whole, and then as it changes", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  for (let n = 0; n < 300; n += 1) await hub.publish("stocks", `${n}`, { key: `K${n}` });
  const page = await openApp(
    hub,
    `${STOCKS}
    import { createRoot } from "react-dom/client";
    window.counts = new Set();
    const list = document.querySelector("#root");
    new MutationObserver(() => window.counts.add(list.querySelectorAll("li").length))
      .observe(list, { childList: true, subtree: true });
    createRoot(list).render(<App />);
  `,
  );
  await until("the state", async () => (await shown(page)).length === 300);
  await until("open", async () => (await status(page)) === "open");
  const seen = await page.evaluate(() => [...window.counts].filter((count) => count % 300));
  equal(seen, [], "numbers of lines that were shown, but for none and all");
  await until("one connection", async () => (await hub.subscribers()) === 1);
  await hub.publish("stocks", "7", { key: "K0" });
  await hub.removeKey("stocks", "K1");
  await until("a change", async () => (await shown(page))[0] === "K0 7.5");
  await until("a removal", async () => (await shown(page)).length === 299);
  await hub.kill();
  await hub.start();
  await hub.publish("stocks", "8", { key: "K0" });
  await until("after a restart", async () => (await shown(page))[0] === "K0 8.5");
  await hub.publish("others", "1", { key: "O" });
  await page.evaluate(() => window.setTopics("others"));
  await until("other topics", async () => (await shown(page)).join() === "O 1.5");
  await page.evaluate(() => window.setTopics(null));
  await until("none", async () => (await hub.subscribers()) === 0);
  equal([await shown(page), await status(page)], [[], "idle"]);
  equal(page.problems, []);
});

test("react: a server renders a page of the state, and the browser goes on from it", async () => {
  const hub = await startHub();
  await hub.publish("stocks", "1", { key: "A" });
  await hub.publish("stocks", "2", { key: "B" });
  const headers = { accept: "application/json" };
  const asked = await fetch(`${hub.url}/events?topic=stocks&from=state`, { headers });
  const first = JSON.stringify(await asked.json());
  const { html } = await renderOnServer(`${STOCKS}
    import { renderToString } from "react-dom/server";
    export const html = renderToString(<App page={${first}} />);
  `);
  ok(html.includes("<li>A<!-- --> <!-- -->1.5</li>"), html);
  await hub.publish("stocks", "3", { key: "B" });
  const page = await openApp(
    hub,
    `${STOCKS}
    import { hydrateRoot } from "react-dom/client";
    const root = document.querySelector("#root");
    root.innerHTML = ${JSON.stringify(html)};
    hydrateRoot(root, <App page={${first}} />, { onRecoverableError: (e) => console.error(e) });
  `,
  );
  await until("what changed", async () => (await shown(page)).join() === "A 1.5,B 3.5");
  await until("open", async () => (await status(page)) === "open");
  equal(page.problems, []);
});
