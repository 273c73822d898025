// The snippets of docs/guides/state.md, as they stand on the page, against a real hub. That in
// Python is run by tests/clients/package.test.js, and that in Rust by client_state.rs.

import { Page } from "../clients/snippets/page.js";
import { equal, ok, test, until } from "./harness.js";
import { startHub } from "./hub.js";
import { openApp, renderOnServer } from "./react_app.js";

const guide = new Page("docs/guides/state.md");
guide.notRun("curl -X DELETE", "publishing with a key is what the other tests of a state do");
guide.takenBy("with Hub(", "tests/clients/package.test.js");
guide.elsewhere("async fn watch(", "crates/tidings-testkit/tests/client_state.rs");

const lines = (page) => page.locator("li").allTextContents();

const put = (hub, key, price) => hub.publish("stocks", JSON.stringify({ price }), { key });

const browser = guide.run(`from "/tidings-state.js"`);

test("snippets of docs/guides/state.md: in the browser", async () => {
  const hub = await startHub();
  await put(hub, "ACME", 101);
  // What the page shows and hides is its own affair.
  const page = await openApp(
    hub,
    `window.shown = {};
    const show = (key, { price }) => (window.shown[key] = price);
    const hide = (key) => delete window.shown[key];
    ${browser}`,
  );
  const shown = () => page.evaluate(() => window.shown);
  await until("the state", async () => (await shown())?.ACME === 101);
  await put(hub, "NEW", 7);
  await hub.removeKey("stocks", "ACME");
  await until("what changed", async () => JSON.stringify(await shown()) === '{"NEW":7}');
});

const component = guide.run("useTidingsState(hub");
const server = guide.run("renderToString(<Stocks");

test("snippets of docs/guides/state.md: React", async () => {
  const hub = await startHub();
  await put(hub, "ACME", 101);
  const page = await openApp(
    hub,
    `${component}
    import { createRoot } from "react-dom/client";
    createRoot(document.querySelector("#root")).render(<Stocks hub="" />);
  `,
  );
  await until("the state", async () => (await lines(page)).join() === "ACME 101");
  await put(hub, "ACME", 102);
  await until("a change", async () => (await lines(page)).join() === "ACME 102");
});

test("snippets of docs/guides/state.md: rendered by a server, then live", async () => {
  const hub = await startHub();
  await put(hub, "ACME", 101);
  await put(hub, "B</script>", 1);
  const { rendered } = await renderOnServer(`${component}
    import { renderToString } from "react-dom/server";
    const hub = ${JSON.stringify(hub.url)};
    ${server}
    export const rendered = document;
  `);
  ok(rendered.includes("<li>ACME 101</li>"), rendered);
  await put(hub, "ACME", 102);
  const page = await openApp(
    hub,
    `${component}
    import { hydrateRoot } from "react-dom/client";
    const hub = "", root = document.querySelector("#root");
    ${/\/\/ In the browser: (.*)/.exec(server)[1]};
  `,
    rendered,
  );
  await until("what changed", async () => (await lines(page))[0] === "ACME 102");
  equal((await lines(page)).length, 2);
  equal(page.problems, []);
});

guide.complete();
