// @tidings-hub/react with React 19.

import { build } from "esbuild";
import { openPage } from "./browser.js";
import { equal, ok, pause, temporaryFile, test, until } from "./harness.js";
import { startHub } from "./hub.js";

const PACKAGE = new URL("../../clients/react/index.js", import.meta.url).pathname;
const MODULES = new URL("node_modules/", import.meta.url).pathname;

/** What the server's half of React needs in a module. */
const REQUIRE = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);`;

/** A bundle of the component, which finds the hooks and React. */
async function bundle(source) {
  const { outputFiles } = await build({
    entryPoints: [temporaryFile("app.jsx", source)],
    bundle: true,
    format: "esm",
    write: false,
    jsx: "automatic",
    logLevel: "silent",
    nodePaths: [MODULES],
    define: { "process.env.NODE_ENV": '"development"' },
    alias: { "@tidings-hub/react": PACKAGE },
    // Every hub serves it; its workers are then those of any other page.
    external: ["/tidings.js"],
    plugins: [
      {
        name: "tidings",
        setup: ({ onResolve }) =>
          onResolve({ filter: /^@tidings-hub\/tidings$/ }, () => ({
            path: "/tidings.js",
            external: true,
          })),
      },
    ],
  });
  return outputFiles[0].text;
}

/** A page of the hub's origin that renders the application. */
async function open(hub, source) {
  const script = await bundle(source);
  const page = await openPage();
  const html = `<!doctype html><div id="root"></div><script type="module" src="/app.js"></script>`;
  await page.route("**/app", (route) => route.fulfill({ body: html, contentType: "text/html" }));
  await page.route("**/app.js", (route) =>
    route.fulfill({ body: script, contentType: "text/javascript" }),
  );
  await page.goto(`${hub.url}/app`);
  return page;
}

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
  const page = await open(hub, NEWS);
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
  const page = await open(hub, NEWS);
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
  const page = await open(hub, NEWS);
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
    20_000,
  );
});

test("react: the latest handlers are called, and none after unmounting", async () => {
  const hub = await startHub();
  const page = await open(
    hub,
    `
    import { StrictMode, useState } from "react";
    import { createRoot } from "react-dom/client";
    import { useConnection } from "@tidings-hub/react";

    window.heard = [];
    function App() {
      const [n, setN] = useState(0);
      window.setN = setN;
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
  const publishing = hub.publish("news", "3");
  await page.evaluate(() => window.setN("off"));
  const before = await page.evaluate(() => window.heard.length);
  await publishing;
  await pause(300);
  const all = await page.evaluate(() => window.heard);
  equal(all.slice(0, 2), ["0 alarm 1", "7 message 2"]);
  equal(all.length, before, "heard after unmounting");
  ok(all.length <= 3, `${all}`);
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
  const { outputFiles } = await build({
    stdin: { contents: source, loader: "jsx", resolveDir: MODULES },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
    jsx: "automatic",
    logLevel: "silent",
    nodePaths: [MODULES],
    banner: { js: REQUIRE },
    alias: {
      "@tidings-hub/react": PACKAGE,
      "@tidings-hub/tidings": new URL(
        "../../crates/tidings-web/assets/npm/tidings.js",
        import.meta.url,
      ).pathname,
    },
  });
  const { html } = await import(temporaryFile("server.mjs", outputFiles[0].text));
  ok(html.includes("idle"), html);
});
