// Signs every vector with the lines of the guide (docs/guides/access.md) and compares.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const { id, key, links } = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url)));
for (const { until, sub, topics, sig: expected } of links) {
  const text = ["tidings-link-v1", until, sub, ...topics].join("\n");
  const sig = id + "." + createHmac("sha256", key).update(text).digest("base64url");
  if (sig !== expected) throw new Error(`${topics}: ${sig} is not ${expected}`);
}
console.log(`node: ${links.length} links`);
