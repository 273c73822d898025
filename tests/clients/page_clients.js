// The libraries that listen in a page, each as its own documentation has it, with the real hub
// under it, in Chromium. Every page ends up with one <p> in #list for each event.

import { existsSync } from "node:fs";
import { openPage } from "../browser/browser.js";
import { Skipped, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

export const TOPIC = "pages/board";
const PATH = `/events/${TOPIC}`;
const BUNDLES = new URL("node_modules/", import.meta.url).pathname;

/** Datastar is not on npm; `starhtml` from PyPI brings it. */
const DATASTAR = process.env.DATASTAR ?? "";

const script = (path) => `<script src="/bundles/${path}"></script>`;

/** The event that appends a paragraph. */
const paragraph = (n) => ({ data: `<p>${n}</p>` });

/** In a page: appends the data of an event. */
const APPEND = `(data) => document.querySelector("#list").insertAdjacentHTML("beforeend", data)`;

export const PAGE_CLIENTS = [
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
export async function open(client, site) {
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

/** What `list` holds after that many events. */
export const numbers = (last) => Array.from({ length: last }, (_, n) => `${n + 1}`);
