// A server that answers as a test says, to do what no real hub does on demand.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after } from "./harness.js";

/** Makes a worker hang when the server says so. */
const HANGS = `
if (typeof document === "undefined") fetch("/hang").then(() => { for (;;); });
`;

const MODULES = new URL("../../crates/tidings-web/assets/npm/", import.meta.url);

export const STREAM = { "content-type": "text/event-stream" };

/**
 * Serves tidings.js and its parts, a page elsewhere, and under `/events` what
 * `answer(response, n, request)` does with the n-th request, counted from 1. `requests` are those
 * for `/events` so far, `open` says how many of them are not over, and `hang` makes the workers
 * hang for ever that run now.
 */
export async function startScript(answer) {
  const requests = [];
  const open = new Set();
  const workers = [];
  const server = createServer((request, response) => {
    if (request.url === "/tidings.js") {
      response.setHeader("content-type", "text/javascript");
      response.end(readFileSync(new URL("tidings.js", MODULES)) + HANGS);
    } else if (/^\/tidings(-state|\/[a-z_]+)\.js$/.test(request.url)) {
      response.setHeader("content-type", "text/javascript");
      response.end(readFileSync(new URL(`.${request.url}`, MODULES)));
    } else if (request.url === "/hang") {
      workers.push(response);
    } else if (request.url.startsWith("/events")) {
      requests.push({ url: request.url, headers: request.headers, at: Date.now() });
      open.add(response);
      response.on("close", () => open.delete(response));
      answer(response, requests.length, request);
    } else {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>page</title><h1>Please log in</h1>");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    open: () => open.size,
    hang: () => workers.splice(0).forEach((response) => response.end()),
  };
}
