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
import { HOSTS, NAME, admit } from "./tidings/hosts.js";
// Modules that these import, listed here so that a browser fetches all at once and not one by one.
import "./tidings/limits.js";
import "./tidings/waits.js";

export { Connection, EventBlocks };

// This stands here because bundlers look for exactly these expressions, and because the URL is the
// right one also in a bundle that is served beside tidings.js.
HOSTS.shared = (name) =>
  new SharedWorker(new URL("./tidings.js", import.meta.url), { type: "module", name });
HOSTS.dedicated = (name) => {
  try {
    return new Worker(new URL("./tidings.js", import.meta.url), { type: "module", name });
  } catch (error) {
    // A script of another origin cannot be a worker's script, but a worker may import it. In a
    // bundle it would be the bundle.
    if (!/\/tidings\.js$/.test(import.meta.url)) throw error;
    const text = `import "${import.meta.url}";`;
    const script = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return new Worker(script, { type: "module", name });
  }
};
HOSTS.page = (_, over) => ({ postMessage: (_, [port]) => admit(port, over) });

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

// The worker's side: this file was started as its script, or imported by one that was.

if (!globalThis.document && globalThis.name?.startsWith?.(NAME)) {
  globalThis.onconnect = globalThis.onmessage = ({ ports: [port] }) =>
    admit(port, () => globalThis.close());
}
