// Ports for programs that listen where a test says. A port that the system chose, and that
// is closed again so that a program can have it, may be given to someone else in between, even to
// an outgoing connection. So these are below those that a system chooses from, and each process
// chooses from a block of its own, held by listening on its first port. `tidings_testkit::ports`
// says more.

import { createServer } from "node:net";

const [first, end, size] = [10_000, 32_000, 100];
const blocks = (end - first) / size;
let [next, last] = [0, 0];

/** A port of loopback that this process has not had before, and no other one asks for. */
export async function freePort() {
  for (;;) {
    if (next === last) await claim();
    const port = next++;
    const server = await listen(port);
    if (!server) continue; // somebody's own server is there
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

let claiming;

// Callers that come meanwhile wait for the same block.
function claim() {
  claiming ??= claimBlock().finally(() => (claiming = undefined));
  return claiming;
}

async function claimBlock() {
  for (let step = 0; step < blocks; step++) {
    const block = first + ((process.pid + step) % blocks) * size;
    const server = await listen(block);
    if (!server) continue;
    server.unref(); // it is no reason to go on living
    [next, last] = [block + 1, block + size];
    return;
  }
  throw new Error("no block of ports is left");
}

/** A server there; nothing if the port is taken. */
function listen(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
