// A hub with the secret of the Mercure documentation, and tokens for it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, equal } from "../browser/harness.js";
import { PROGRAM, startHub } from "../browser/hub.js";

export const SECRET = "!ChangeThisMercureHubJWTSecretKey!";
const HUB = "/.well-known/mercure";

/** Starts one; it ends with the test. */
export async function startMercure(options = []) {
  const folder = mkdtempSync(join(tmpdir(), "tidings-secret-"));
  after(() => rmSync(folder, { recursive: true }));
  const secret = join(folder, "secret");
  writeFileSync(secret, SECRET);
  const hub = await startHub(["--jwt-secret-file", secret, "--retry", "300ms", ...options]);
  const rights = ["--publish", "*", "--subscribe", "*", "--subscribe", "**"];
  const authorization = `Bearer ${token(rights)}`;
  return Object.assign(hub, {
    async stats() {
      return (await fetch(`${hub.url}/stats`, { headers: { authorization } })).json();
    },
    mercure: (query = {}) => `${hub.url}${HUB}?${new URLSearchParams(query)}`,
    /** Publishes with every right; the id. */
    async post(fields) {
      const answer = await fetch(hub.url + HUB, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { authorization },
      });
      equal(answer.status, 200, `publishing to ${fields.topic}`);
      return answer.text();
    },
  });
}

/** What `tidings token` mints. */
export function token(words) {
  const text = execFileSync(PROGRAM, ["token", "--secret", SECRET, ...words], { encoding: "utf8" });
  return text.trim();
}

/** Keeps what `source` hears: pairs of id and data. */
export function listen(source, type = "message") {
  const heard = [];
  source.addEventListener(type, ({ data, lastEventId }) => heard.push({ id: lastEventId, data }));
  after(() => source.close());
  return heard;
}
