// Where an exchange runs, and how a page reaches it.

import { GREETING_MS } from "./limits.js";
import { within } from "./waits.js";

/** Part of every worker's name. It changes whenever the messages of page and worker do. */
export const NAME = "tidings/8";

/**
 * Admits the port of one connection to this thread's exchange, and then greets the page there.
 * `over` is called when the page has ended the exchange.
 */
export async function admit(port, over) {
  (await import("./exchange.js")).admit(port, over);
  port.postMessage(0);
}

/**
 * What runs an exchange, by kind, the best first: makes a worker with this name, or an object that
 * stands in for it. tidings.js knows them.
 */
export const HOSTS = {};

/** Hosts of this page alone, by kind, which its connections share. */
const own = {};

/** Reaches a host of this kind: its `port`, and what ends its thread where that is possible. */
export async function reach(kind, name) {
  const end = () => {
    if (own[kind] === host) own[kind] = undefined;
    host.terminate?.();
  };
  const host = own[kind] ?? HOSTS[kind](name, end);
  let { port } = host;
  const greeting = new Promise((resolve, reject) => {
    if (!port) {
      own[kind] = host;
      const channel = new MessageChannel();
      port = channel.port1;
      // This page itself may not be able to load the exchange.
      host.postMessage(0, [channel.port2])?.catch(reject);
    }
    port.onmessage = resolve;
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
