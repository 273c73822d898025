// tidings.js: one connection to a Tidings hub, shared by all tabs of an origin.
//
//     import { connect } from "/tidings.js";
//     const news = connect("", { topics: ["news/**"] });
//     news.addEventListener("message", (event) => console.log(event.data));
//
// Four parts. A `Connection` is what a page holds. An `Exchange` is what all pages share: it lives
// in a SharedWorker (else in a Worker, else in the page) and keeps one `Feed` for each set of
// topics, or for all connections with `multiplex`. A feed passes on to its `Member`s, one for each
// connection, what its `Stream` reads: one event stream, read with fetch. EventSource
// can do less: it cannot set a header, hides the response's status and media type, and reconnects
// exactly as a stream's `retry` says, even at once or never.
//
// This file is the page's module and the worker's script; the parts are in the folder `tidings`
// beside it. Page and worker exchange small objects: `do` is the page's order, `is` the exchange's
// report.

import { Connection } from "./tidings/connection.js";
import { EventBlocks } from "./tidings/event_blocks.js";
import { Exchange } from "./tidings/exchange.js";
import { WORKERS } from "./tidings/hosts.js";
import { NAME } from "./tidings/limits.js";
// Modules that these import, listed here so that a browser fetches all parts at once and not one by
// one.
import "./tidings/expiry.js";
import "./tidings/feed.js";
import "./tidings/member.js";
import "./tidings/messages.js";
import "./tidings/stream.js";
import "./tidings/topics.js";
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
  const here = globalThis.location?.href;
  if (!here && !/^https?:/i.test(url)) {
    throw new TypeError("connect: outside of a page, give the hub's URL");
  }
  const hub = new URL(url || "/", here);
  if (!/^https?:$/.test(hub.protocol)) {
    throw new TypeError(`connect: ${hub.protocol} is not a hub's scheme; give an http(s) URL`);
  }
  if (hub.username || hub.password || hub.search || hub.hash) {
    throw new TypeError("connect: a hub's URL has neither user, query nor fragment");
  }
  return new Connection(hub.href.replace(/\/+$/, ""), options);
}

// The worker's side: this file was started as its script, or imported by one that was.

if (typeof document === "undefined" && globalThis.name?.startsWith?.(NAME)) {
  const exchange = new Exchange(() => globalThis.close());
  if ("onconnect" in globalThis) {
    globalThis.onconnect = ({ ports: [port] }) => {
      exchange.admit(port);
      port.postMessage({ is: "hello" });
    };
  } else {
    globalThis.onmessage = ({ ports: [port] }) => exchange.admit(port);
    globalThis.postMessage({ is: "hello" });
  }
}
