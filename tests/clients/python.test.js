// PyPI's `mercure-publisher`, which mints its own tokens, and `httpx-sse`, which reads.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { equal, Skipped, test } from "../browser/harness.js";
import { SECRET, startMercure, token } from "./mercure.js";

test("mercure-publisher publishes and is refused as it expects; httpx-sse reads", async () => {
  const python = process.env.PYTHON;
  if (!python) throw new Skipped("the Python packages could not be installed");
  const hub = await startMercure();
  const script = new URL("clients.py", import.meta.url).pathname;
  const words = [script, hub.mercure().split("?")[0], SECRET, token(["--subscribe", "*"])];
  const { stdout } = await promisify(execFile)(python, words, { timeout: 50_000 });
  const { id, own, events, refused } = JSON.parse(stdout);
  equal(own, "urn:mine", "the id that it brought");
  equal(refused, 401, "the status of a publish with another key");
  equal(events, [
    { id, event: "message", data: '{"n": 1}', retry: null },
    { id: own, event: "greeting", data: "two\nlines", retry: 4711 },
  ]);
});
