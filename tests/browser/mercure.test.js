// Mercure as a page uses it: a token in a cookie, and the browser's own EventSource.

import { execFileSync } from "node:child_process";
import { heard, listen, openPage } from "./browser.js";
import { equal, temporaryFile, test, until } from "./harness.js";
import { PROGRAM, startHub } from "./hub.js";

const SECRET = "!ChangeThisMercureHubJWTSecretKey!";
const HUB = "/.well-known/mercure";

function token(words) {
  const text = execFileSync(PROGRAM, ["token", "--secret", SECRET, ...words], { encoding: "utf8" });
  return text.trim();
}

test("with a cookie the hub's own pages get private events and publish", async () => {
  const secret = temporaryFile("secret", SECRET);
  const hub = await startHub(["--jwt-secret-file", secret, "--retry", "300ms"]);
  const page = await openPage(`${hub.url}/healthz`);
  const cookie = token(["--publish", "*", "--subscribe", "https://x/books/1"]);
  await page.context().addCookies([
    {
      name: "mercureAuthorization",
      value: cookie,
      domain: "127.0.0.1",
      path: HUB,
      httpOnly: true,
      sameSite: "Strict",
    },
  ]);
  await listen(page, `${HUB}?topic=${encodeURIComponent("https://x/books/{id}")}`);
  await until("open", async () => (await heard(page, "open")).length === 1);
  const publish = (data) =>
    page.evaluate(
      async ({ hub, data }) => {
        const body = new URLSearchParams({ topic: "https://x/books/1", private: "on", data });
        return (await fetch(hub, { method: "POST", body })).status;
      },
      { hub: HUB, data },
    );
  equal(await publish("one"), 200);
  await until("one", async () => (await heard(page)).length === 1);
  await hub.kill("SIGKILL");
  await hub.start();
  equal(await publish("two"), 200);
  await until("two", async () => (await heard(page)).length >= 2);
  equal(await heard(page), ["one", "two"]);
});
