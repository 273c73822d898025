// `[[notify]]`: the libraries of Standard Webhooks verify what the hub signs, and nothing else.

import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";
import { after, equal, ok, Skipped, temporaryFile, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

const OLD = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const NEW = `whsec_${Buffer.alloc(24, 2).toString("base64")}`;
const UNKNOWN = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;

/** What a receiver gets from a hub with two secrets when a stream begins. */
async function messages() {
  const got = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    got.push({ headers: request.headers, body });
    response.writeHead(204).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}/hub/connections`;
  const table = `[[notify]]\nurl = "${url}"\nsecret = ["${OLD}", "${NEW}"]\n`;
  const hub = await startHub(["--config", temporaryFile("hub.toml", table)]);
  const stop = new AbortController();
  after(() => stop.abort());
  const stream = await fetch(`${hub.url}/events/${encodeURIComponent("straße/ü")}`, {
    signal: stop.signal,
  });
  equal(stream.status, 200, "the status of the stream");
  const isThere = () => got.some(({ body }) => body.includes("straße/ü"));
  await until("a message about the stream", isThere);
  return got;
}

/** Each message as it is, with a secret of another, changed, and of another time. */
const variants = ({ headers, body }) => [
  { secret: OLD, headers, body },
  { secret: NEW, headers, body },
  { secret: UNKNOWN, headers, body },
  { secret: OLD, headers, body: body.replace("tidings", "Tidings") },
  { secret: OLD, headers: { ...headers, "webhook-id": "msg_other" }, body },
  { secret: OLD, headers: { ...headers, "webhook-timestamp": "1700000000" }, body },
];

const REFUSED = "WebhookVerificationError";
const EXPECTED = [
  "tidings.connections",
  "tidings.connections",
  REFUSED,
  REFUSED,
  REFUSED,
  REFUSED,
];

test("npm's standardwebhooks verifies the news of connections", async () => {
  for (const message of await messages()) {
    const said = variants(message).map(({ secret, headers, body }) => {
      try {
        return new Webhook(secret).verify(body, headers).type;
      } catch (error) {
        return error.constructor.name;
      }
    });
    equal(said, EXPECTED, "what the library says");
  }
});

test("PyPI's standardwebhooks verifies the news of connections", async () => {
  const python = process.env.PYTHON;
  if (!python) throw new Skipped("the Python packages could not be installed");
  const all = (await messages()).flatMap(variants);
  ok(all.length > 0, "there are messages");
  const script = new URL("webhooks.py", import.meta.url).pathname;
  const input = all.map((one) => `${JSON.stringify(one)}\n`).join("");
  const printed = execFileSync(python, [script], { input, timeout: 30_000 }).toString();
  const said = printed.trim().split("\n").map((line) => JSON.parse(line));
  equal(said, all.map((_, place) => EXPECTED[place % EXPECTED.length]), "what the library says");
});
