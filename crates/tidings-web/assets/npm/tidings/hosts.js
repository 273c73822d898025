// Where an exchange runs, and how a page reaches it.

import { GREETING_MS } from "./limits.js";
import { within } from "./waits.js";

/** Part of every worker's name. It changes whenever the messages of page and worker do. */
export const NAME = "tidings/6";

/** How workers are started, `shared` and `dedicated`; the URL of their `script` if it is known. */
export const WORKERS = {};

/** A function that admits ports to a new exchange; `over` is called when it has ended. */
export async function openExchange(over) {
  const { newExchange } = await import("./exchange.js");
  return newExchange(over);
}

/**
 * Ways to reach an exchange, the best first: each returns a port, and where possible a way to end
 * its thread, or fails.
 */
export const HOSTS = {
  async shared(name) {
    const worker = WORKERS.shared(name);
    await greeting(worker, worker.port);
    return { port: worker.port };
  },
  dedicated: (name) => join("dedicated", () => startWorker(name)),
  page: () => join("page", async (over) => ({ admit: await openExchange(over) })),
};

/** Hosts of this page alone, by kind, which its connections share. */
const own = {};

/** A port of the page's own host of this kind, which `start` starts if there is none. */
async function join(kind, start) {
  const forget = () => {
    if (own[kind] === host) own[kind] = undefined;
  };
  const host = (own[kind] ??= start(() => forget()));
  host.catch(forget);
  const { admit, end } = await host;
  const { port1, port2 } = new MessageChannel();
  admit(port2);
  return {
    port: port1,
    end() {
      forget();
      end?.();
    },
  };
}

async function startWorker(name) {
  let worker;
  let blob;
  try {
    worker = WORKERS.dedicated(name);
  } catch (error) {
    if (!WORKERS.script) throw error;
    // A script of another origin cannot be a worker's script, but a worker may import it.
    const text = `import ${JSON.stringify(WORKERS.script)};`;
    blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    worker = new Worker(blob, { type: "module", name });
  }
  const end = () => worker.terminate();
  try {
    await greeting(worker, worker);
  } catch (error) {
    end();
    throw error;
  } finally {
    URL.revokeObjectURL(blob);
  }
  return { admit: (port) => worker.postMessage(0, [port]), end };
}

/** Waits for the worker's first message. */
function greeting(worker, port) {
  const first = new Promise((resolve, reject) => {
    worker.onerror = (event) => {
      event.preventDefault?.();
      reject(new Error("the worker does not start"));
    };
    port.onmessage = resolve;
  });
  return within(GREETING_MS, first);
}
