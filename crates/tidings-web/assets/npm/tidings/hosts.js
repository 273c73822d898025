// Where an exchange runs, and how a page reaches it.

import { GREETING_MS } from "./limits.js";
import { within } from "./waits.js";

/** Part of every worker's name. It changes whenever the messages of page and worker do. */
export const NAME = "tidings/5";

/** How workers are started, `shared` and `dedicated`; the URL of their `script` if it is known. */
export const WORKERS = {};

/** A new exchange; `over` is called when it has ended. */
export async function newExchange(over) {
  const { Exchange } = await import("./exchange.js");
  return new Exchange(over);
}

/**
 * Ways to reach an exchange, the best first: each returns a port, and where possible a way to end
 * its thread, or fails.
 */
export const HOSTS = {
  async shared(name) {
    const worker = WORKERS.shared(name);
    worker.port.start();
    await greeting(worker, worker.port);
    return { port: worker.port };
  },
  async dedicated(name) {
    const started = (dedicated ??= startWorker(name));
    const forget = () => {
      if (dedicated === started) dedicated = undefined;
    };
    started.catch(forget);
    const worker = await started;
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ do: "port" }, [port2]);
    return {
      port: port1,
      end() {
        forget();
        worker.terminate();
      },
    };
  },
  async page() {
    const { port1, port2 } = new MessageChannel();
    const forget = () => (local = undefined);
    local ??= newExchange(forget);
    local.catch(forget);
    (await local).admit(port2);
    return { port: port1 };
  },
};

let dedicated;
let local;

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
  try {
    await greeting(worker, worker);
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    if (blob) URL.revokeObjectURL(blob);
  }
  return worker;
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
