// A web site of another origin than the hub's.

import { createServer } from "node:http";
import { after } from "./harness.js";

/** Serves a page on every path but those of `scripts`; returns its origin. */
export async function startSite(html = "<!doctype html><title>elsewhere</title>", scripts = {}) {
  const server = createServer((request, response) => {
    const script = scripts[request.url];
    response.setHeader("content-type", `text/${script ? "javascript" : "html"}; charset=utf-8`);
    response.setHeader("set-cookie", "visitor=7; SameSite=Lax");
    response.end(script ?? html);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
