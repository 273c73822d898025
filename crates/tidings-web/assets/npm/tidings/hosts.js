// Where an exchange runs, and how a page reaches it.

import { GREETING_MS } from "./limits.js";
import { within } from "./waits.js";

/** Part of every worker's name. It changes whenever the messages of page and worker do. */
export const NAME = "tidings/7";

/** How workers are started, `shared` and `dedicated`; the URL of their `script` if it is known. */
export const WORKERS = {};

/**
 * A function that admits a port to a new exchange and then greets the page there. `over` is called
 * when the exchange has ended.
 */
export function openExchange(over) {
  const exchange = import("./exchange.js").then(({ newExchange }) => newExchange(over));
  return async (port) => {
    (await exchange)(port);
    port.postMessage(0);
  };
}

/** What runs an exchange, by kind, the best first: a worker, or an object that stands in for it. */
export const HOSTS = {
  shared: (name) => WORKERS.shared(name),
  dedicated(name) {
    try {
      return WORKERS.dedicated(name);
    } catch {
      // A script of another origin cannot be a worker's script, but a worker may import it.
      const text = `import ${JSON.stringify(WORKERS.script)};`;
      script ??= URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      return new Worker(script, { type: "module", name });
    }
  },
  page(_, over) {
    const admit = openExchange(over);
    return { postMessage: (_, [port]) => admit(port) };
  },
};

/** URL of the script of a dedicated worker, where that is not `WORKERS.script`. */
let script;

/** Hosts of this page alone, by kind, which its connections share. */
const own = {};

/** Reaches a host of this kind: its `port`, and what ends its thread where that is possible. */
export async function reach(kind, name) {
  const end = () => {
    if (own[kind] === host) own[kind] = undefined;
    host.terminate?.();
  };
  const host = own[kind] ?? HOSTS[kind](name, () => end());
  let { port } = host;
  let admitted;
  if (!port) {
    own[kind] = host;
    const channel = new MessageChannel();
    port = channel.port1;
    admitted = host.postMessage(0, [channel.port2]);
  }
  const greeting = new Promise((resolve, reject) => {
    port.onmessage = resolve;
    admitted?.catch(reject);
    host.addEventListener?.("error", (event) => {
      event.preventDefault();
      reject(new Error("the worker does not start"));
    });
  });
  try {
    await within(GREETING_MS, greeting);
  } catch (error) {
    end();
    throw error;
  }
  return { port, end };
}
