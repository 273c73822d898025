// The libraries that listen in a page: each with the real hub under it, in Chromium, as its own
// documentation has it. Every page ends up with one <p> in #list for each event.

import { existsSync } from "node:fs";
import { openPage } from "../browser/browser.js";
import { equal, ok, pause, Skipped, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { startSite } from "../browser/site.js";

const TOPIC = "pages/board";
const PATH = `/events/${TOPIC}`;
const BUNDLES = new URL("node_modules/", import.meta.url).pathname;

/** Datastar is not on npm; `starhtml` from PyPI brings it. */
const DATASTAR = process.env.DATASTAR ?? "";

/** How long a reader of an ended topic is watched. */
const SILENCE = 5_000;

const script = (path) => `<script src="/bundles/${path}"></script>`;
const paragraph = (n) => ({ data: `<p>${n}</p>` });

/** In a page: appends the data of an event. */
const APPEND = `(data) => document.querySelector("#list").insertAdjacentHTML("beforeend", data)`;

const CLIENTS = [
  {
    name: "htmx 4",
    closesWhenHidden: true,
    crossesOrigins: true,
    html: (address) =>
      `<meta name="htmx-config" content='{"mode":"cors"}'>` +
      script("htmx.org/dist/htmx.js") +
      script("htmx.org/dist/ext/hx-sse.js") +
      `<div id="list" hx-sse:connect="${address}" hx-sse:close="end" hx-swap="beforeend"></div>`,
    event: paragraph,
  },
  {
    name: "htmx 2",
    html: (address) =>
      script("htmx2/dist/htmx.js") +
      script("htmx-ext-sse/sse.js") +
      `<div id="list" hx-ext="sse" sse-connect="${address}" sse-swap="message" sse-close="end"
        hx-swap="beforeend"></div>`,
    event: paragraph,
  },
  {
    name: "Turbo 8",
    html: (address) =>
      script("@hotwired/turbo/dist/turbo.es2017-umd.js") +
      `<turbo-stream-source src="${address}"></turbo-stream-source><div id="list"></div>`,
    event: (n) => ({
      data:
        `<turbo-stream action="append" target="list"><template><p>${n}</p></template>` +
        "</turbo-stream>",
    }),
  },
  {
    name: "fetch-event-source",
    closesWhenHidden: true,
    crossesOrigins: true,
    // It takes the blocks that only set an id for messages without data.
    html: (address) => `<div id="list"></div><script type="module">
      import { fetchEventSource } from "/bundles/@microsoft/fetch-event-source/lib/esm/index.js";
      const append = ${APPEND};
      fetchEventSource("${address}", {
        onmessage: ({ event, data }) => { if (!event && data) append(data); },
      });
    </script>`,
    event: paragraph,
  },
  {
    name: "event-source-polyfill",
    html: (address) =>
      script("event-source-polyfill/src/eventsource.js") +
      `<div id="list"></div><script>
        const append = ${APPEND};
        const source = new EventSourcePolyfill("${address}?last=1");
        source.onmessage = ({ data }) => append(data);
      </script>`,
    event: paragraph,
  },
  {
    name: "Datastar",
    closesWhenHidden: true,
    crossesOrigins: true,
    needs: () => {
      if (!existsSync(DATASTAR)) throw new Skipped("PyPI's starhtml could not be installed");
    },
    html: (address) =>
      `<script type="module" src="/datastar/datastar.js"></script>` +
      `<div data-init="@get('${address}')"></div><div id="list"></div>`,
    event: (n) => ({
      type: "datastar-patch-elements",
      data: `selector #list\nmode append\nelements <p>${n}</p>`,
    }),
  },
];

/** A hub and the client's page, which listens; of the hub's origin, or of `site`. */
async function open(client, site) {
  client.needs?.();
  const allowed = site ? ["--cors-origin", site] : [];
  const hub = await startHub(["--retry", "300ms", ...allowed]);
  const page = await openPage();
  const requests = [];
  page.on("request", (request) => {
    if (new URL(request.url()).pathname === PATH) requests.push(request);
  });
  await page.route("**/bundles/**", (route) => {
    const path = new URL(route.request().url()).pathname.replace("/bundles/", "");
    // The modules of fetch-event-source leave out the end of their files' names.
    const file = /\.js$/.test(path) ? path : `${path}.js`;
    return route.fulfill({ path: BUNDLES + file, contentType: "text/javascript" });
  });
  await page.route("**/datastar/**", (route) => {
    const path = new URL(route.request().url()).pathname.replace("/datastar/", "");
    return route.fulfill({ path: `${DATASTAR}/${path}`, contentType: "text/javascript" });
  });
  if (site) {
    await page.goto(site);
    await page.setContent(`<!doctype html>${client.html(hub.url + PATH)}`);
  } else {
    const body = `<!doctype html>${client.html(PATH)}`;
    await page.route("**/page", (route) => route.fulfill({ body, contentType: "text/html" }));
    await page.goto(`${hub.url}/page`);
  }
  await until("it listens", async () => (await hub.subscribers()) === 1);
  return {
    hub,
    page,
    requests,
    publish: async (first, last) => {
      for (let n = first; n <= last; n += 1) {
        const { data, type } = client.event(n);
        await hub.publish(TOPIC, data, { event: type });
      }
    },
    list: () =>
      page.evaluate(() => [...document.querySelectorAll("#list > *")].map((p) => p.textContent)),
  };
}

/** As if the user had looked at another tab, or had come back. */
function hide(page, hidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    const state = hidden ? "hidden" : "visible";
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** Every event arrives once although the hub was ended by the signal, and started again. */
async function restart(client, signal, site) {
  const { hub, publish, list } = await open(client, site);
  await publish(1, 5);
  await until("five events", async () => (await list()).length === 5);
  await hub.kill(signal);
  await hub.start();
  await publish(6, 10);
  await until("ten events", async () => (await list()).length >= 10, 30_000);
  await publish(11, 11);
  await until("the last", async () => (await list()).includes("11"));
  equal(await list(), numbers(11));
}

const numbers = (last) => Array.from({ length: last }, (_, n) => `${n + 1}`);

for (const client of CLIENTS) {
  const together = (sentence, fn) => test(`${client.name}: ${sentence}`, fn, { together: true });

  for (const signal of ["SIGKILL", "SIGTERM"]) {
    together(`every event is in the page once over ${signal} of the hub`, async () => {
      await restart(client, signal);
    });
  }

  if (client.crossesOrigins) {
    together("a page of another origin has every event once over SIGKILL of the hub", async () => {
      await restart(client, "SIGKILL", await startSite());
    });
  }

  together("100 events published while the tab is hidden are there when it is shown", async () => {
    const { hub, page, publish, list } = await open(client);
    await publish(1, 1);
    await until("an event", async () => (await list()).length === 1);
    await hide(page, true);
    if (client.closesWhenHidden) {
      await until("it has closed", async () => (await hub.subscribers()) === 0);
    }
    await publish(2, 101);
    await hide(page, false);
    await until("all events", async () => (await list()).length >= 101, 20_000);
    equal(await list(), numbers(101));
  });

  together(`no request is sent for ${SILENCE / 1000} s once the topic has ended`, async () => {
    const { hub, requests, publish, list } = await open(client);
    await publish(1, 1);
    await until("an event", async () => (await list()).length === 1);
    await hub.end(TOPIC);
    await until("the stream is over", async () => (await hub.subscribers()) === 0);
    await pause(1500); // EventSource comes back once, for its 204
    const asked = requests.length;
    ok(asked <= 2, `${asked} requests until then`);
    await pause(SILENCE);
    equal(requests.length, asked, "requests");
    equal(await list(), numbers(1));
  });
}
