// tidings.js: one connection to a Tidings hub, shared by all tabs of an origin.
//
//     import { connect } from "/tidings.js";
//     const news = connect("", { topics: ["news/**"] });
//     news.addEventListener("message", (event) => console.log(event.data));
//
// Four parts. A `Connection` is what a page holds. An exchange is what all pages share: it lives
// in a SharedWorker (else in a Worker, else in the page) and keeps one feed for each set of
// topics, or for all connections with `multiplex`. A feed passes on to its members, one for each
// connection, what its stream reads: one event stream, read with fetch. EventSource can do less:
// it cannot set a header, hides the response's status and media type, and reconnects exactly as a
// stream's `retry` says, even at once or never.
//
// This file is the page's module and the worker's script; the parts are in the folder `tidings`
// beside it. A page loads the connection only, and a worker the exchange as well. The two send each
// other pairs: the name of the page's order or of the exchange's report, and its detail.

import { Connection } from "./tidings/connection.js";
import { EventBlocks } from "./tidings/event_blocks.js";
import { NAME, openExchange, WORKERS } from "./tidings/hosts.js";
// Modules that these import, listed here so that a browser fetches all at once and not one by one.
import "./tidings/limits.js";
import "./tidings/waits.js";

export { Connection, EventBlocks };

// This stands here because bundlers look for exactly these expressions, and because the URL is the
// right one also in a bundle that is served beside tidings.js.
WORKERS.shared = (name) =>
  new SharedWorker(new URL("./tidings.js", import.meta.url), { type: "module", name });
WORKERS.dedicated = (name) =>
  new Worker(new URL("./tidings.js", import.meta.url), { type: "module", name });
// In a bundle this would be the bundle.
if (/\/tidings\.js$/.test(import.meta.url)) WORKERS.script = import.meta.url;

/** Opens a connection to the hub at `url`; see tidings.d.ts for the options. */
export function connect(url = "", options = {}) {
  let hub;
  try {
    hub = new URL(url || "/", globalThis.location?.href).href;
  } catch {
    // Outside of a page there is no origin to begin with.
  }
  if (!/^https?:..[^/@]+\/[^?#]*$/.test(hub)) {
    throw new TypeError("connect: a hub has a whole http(s) URL without user, query or fragment");
  }
  return new Connection(hub.replace(/\/+$/, ""), options);
}

// The worker's side: this file was started as its script, or imported by one that was. Ports that
// come before the exchange is loaded wait for it.

if (!globalThis.document && globalThis.name?.startsWith?.(NAME)) {
  const admit = openExchange(() => globalThis.close());
  globalThis.onconnect = globalThis.onmessage = ({ ports: [port] }) => admit(port);
}
