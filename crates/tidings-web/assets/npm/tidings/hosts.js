// Where an exchange runs, and how a page reaches it.

import { GREETING_MS } from "./limits.js";

/** How workers are started, `shared` and `dedicated`; the URL of their `script` if it is known. */
export const WORKERS = {};

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
    dedicated ??= startWorker(name);
    const started = dedicated;
    const forget = () => {
      if (dedicated === started) dedicated = undefined;
    };
    const worker = await started.catch((error) => {
      forget();
      throw error;
    });
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
    const { Exchange } = await import("./exchange.js");
    const { port1, port2 } = new MessageChannel();
    local ??= new Exchange(() => (local = undefined));
    local.admit(port2);
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

/** A worker that did not greet in time. */
export class Silent extends Error {}

/** Waits for the worker's first message. */
function greeting(worker, port) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Silent("the worker does not answer")), GREETING_MS);
    worker.onerror = (event) => {
      event.preventDefault?.();
      clearTimeout(late);
      reject(new Error("the worker does not start"));
    };
    port.onmessage = () => {
      clearTimeout(late);
      resolve();
    };
  });
}
