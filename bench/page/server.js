// The server of a page by hand, in a process of its own: the hash as JSON, and the changes as an
// event stream.

import { createServer } from "node:http";
import { createClient } from "redis";
import { CHANNEL, HASH } from "./by-hand.js";

const redis = createClient({ socket: { host: "127.0.0.1", port: Number(process.argv[2]) } });
await redis.connect();
const changes = redis.duplicate();
await changes.connect();
const readers = new Set();
await changes.subscribe(CHANNEL, (message) => {
  for (const reader of readers) reader.write(`data: ${message}\n\n`);
});
const server = createServer(async (request, response) => {
  if (request.url === "/state") {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(await redis.hGetAll(HASH)));
  } else if (request.url === "/changes") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": you are subscribed\n\n");
    readers.add(response);
    response.on("close", () => readers.delete(response));
  } else {
    response.writeHead(404).end();
  }
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
