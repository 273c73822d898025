// docs/guides/access.md: its settings make one hub, and its lines in each language one application.

import { spawn } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, equal, ok, temporaryFolder, test, until } from "../../browser/harness.js";
import { startHub } from "../../browser/hub.js";
import { freePort } from "../../ports.js";
import { python } from "../llm.js";
import { Page } from "./page.js";
import { finish, paste } from "./shell.js";

const SECRET = "a-secret-of-thirty-two-bytes-or-more";
const MODULES = new URL("../node_modules", import.meta.url).pathname;
const guide = new Page("docs/guides/access.md");

const settings = ["anonymous-subscribe", "[[keys]]", "[[link-keys]]", "[[authorize]]", "[[notify]]"]
  .map((part) => guide.run(part))
  .join("\n");

/** A hub with all settings of the page, its files in a folder, and an application at `site`. */
async function start(site) {
  const folder = temporaryFolder();
  const file = (name, text) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const whsec = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
  const mine = {
    "/etc/tidings/sensors.key": file("sensors.key", "a-key-for-the-sensors"),
    "/etc/tidings/link.key": file("link.key", "0123456789abcdef0123456789abcdef"),
    "/etc/tidings/whsec": file("whsec", whsec),
    "http://app:8000": site,
    "https://app.example": site,
  };
  let text = `jwt-secret-file = "${file("jwt-secret", SECRET)}"\n${settings}`;
  for (const [from, to] of Object.entries(mine)) text = text.replaceAll(from, to);
  const hub = await startHub(["--config", file("hub.toml", text)]);
  const paste = { port: hub.port, folder, env: { HUB: hub.url } };
  return { hub, folder, paste, whsec };
}

const read = async (hub, topic, headers = {}) => {
  const all = { accept: "application/json", ...headers };
  return (await fetch(`${hub.url}/events/${topic}?last=10`, { headers: all })).status;
};

const issue = guide.run("export TIDINGS_JWT_SECRET");
test("snippets of docs/guides/access.md: a token of the command line", async () => {
  const printed = await finish(issue, { port: await freePort() });
  ok(/^ey[\w-]+\.[\w-]+\.[\w-]+$/m.test(printed), printed);
});

const claim = JSON.parse(guide.run('"sub": "7", "tidings"'));
const tokens = {
  node: guide.run("function token(user) {\n  const exp"),
  python: guide.run("def token(user)"),
  php: guide.run("function token(string $user)"),
};
const run = {
  node: (text) => ({ name: "t.cjs", text: `${text}\nconsole.log(token("7"));`, by: "node" }),
  python: (text) => ({ name: "t.py", text: `${text}\nprint(token("7"))`, by: python() }),
  php: (text) => ({ name: "t.php", text: `<?php\n${text}\necho token("7");`, by: "php" }),
};
for (const [language, code] of Object.entries(tokens)) {
  test(`snippets of docs/guides/access.md: a token in ${language}`, async () => {
    const { hub, folder, paste } = await start("http://127.0.0.1:9");
    const { name, text, by } = run[language](code);
    writeFileSync(join(folder, name), text);
    const env = { TIDINGS_JWT_SECRET: SECRET };
    const token = (await finish(`${by} ${name}`, { ...paste, env })).trim();
    const said = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    equal(said.tidings.subscribe, claim.tidings.subscribe);
    const authorization = `Bearer ${token}`;
    equal(await read(hub, "users/7/inbox", { authorization }), 200);
    equal(await read(hub, "users/8/inbox", { authorization }), 403);
  });
}

const signIn = guide.run("async function signIn()");
const backends = {
  Express: {
    name: "app.cjs",
    by: () => process.execPath,
    text: `const express = require("express");
${tokens.node}
const app = express().use(require("express-session")({
  secret: "of-the-test", name: "sessionid", resave: false, saveUninitialized: false }));
app.post("/login", (request, response) => {
  Object.assign(request.session, { user: "7", userId: "7" });
  response.sendStatus(204);
});
${guide.run('app.post("/hub-token", (request')}
${guide.run('app.get("/hub/auth", (request')}
app.listen(Number(process.argv[2]), "127.0.0.1");`,
  },
  FastAPI: {
    name: "app.py",
    by: () => python(),
    text: `import sys
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from standardwebhooks import Webhook
from starlette.middleware.sessions import SessionMiddleware
${tokens.python}
app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="of-the-test", session_cookie="sessionid")
SECRET = os.environ["WHSEC"]
online = {}

@app.post("/login")
def login(request: Request):
    request.session.update(user="7", user_id="7")

@app.get("/online")
def who():
    return list(online.values())

${guide.run('@app.post("/hub-token")\ndef')}
${guide.run('@app.get("/hub/auth")')}
${guide.run('@app.post("/hub/connections")')}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")`,
  },
};

for (const [framework, { name, by, text }] of Object.entries(backends)) {
  test(`snippets of docs/guides/access.md: an application in ${framework}`, async () => {
    const port = await freePort();
    const site = `http://127.0.0.1:${port}`;
    const { hub, folder, whsec } = await start(site);
    writeFileSync(join(folder, name), text);
    symlinkSync(MODULES, join(folder, "node_modules"));
    const env = { ...process.env, TIDINGS_JWT_SECRET: SECRET, WHSEC: whsec };
    const child = spawn(by(), [name, `${port}`], { cwd: folder, env, stdio: "inherit" });
    after(() => child.kill("SIGKILL"));
    const enter = () => fetch(`${site}/login`, { method: "POST" });
    const login = await until("it answers", enter);
    const cookie = login.headers.getSetCookie()[0].split(";")[0];

    // Its page signs in: a relative address is the application's, with its cookie.
    let session;
    const fetchInPage = async (address, options) => {
      if (address === "/hub-token") {
        return fetch(site + address, { ...options, headers: { cookie } });
      }
      session = await fetch(address.replace("https://hub.example", hub.url), options);
      return session;
    };
    const renewals = [];
    const names = ["fetch", "setTimeout"];
    const page = new Function(...names, `${signIn}return signIn();`);
    await page(fetchInPage, (_, ms) => renewals.push(ms));
    equal(session.status, 200);
    ok(renewals[0] > 400_000 && renewals[0] < 600_000, `it renews after ${renewals[0]} ms`);
    const own = session.headers.getSetCookie()[0].split(";")[0];
    equal(await read(hub, "users/7/inbox", { cookie: own }), 200, "by the session");

    equal(await read(hub, "orders/7/1", { cookie }), 200, "by what the application says");
    equal(await read(hub, "orders/8/1", { cookie }), 403);
    equal(await read(hub, "orders/7/1", { cookie: "sessionid=forged" }), 403);
    equal(await read(hub, "news/1"), 200, "what everybody may read");

    if (framework !== "FastAPI") return;
    const leave = new AbortController();
    const online = async () => (await fetch(`${site}/online`)).json();
    await fetch(`${hub.url}/events/orders/7/1`, { headers: { cookie }, signal: leave.signal });
    await until("the application hears of it", async () => (await online()).includes("7"));
    leave.abort();
    await until("and of its end", async () => !(await online()).includes("7"));
  });
}

const session = guide.run("session_start();");
test("snippets of docs/guides/access.md: an application in PHP", async () => {
  const folder = temporaryFolder();
  // Of the test: a user who has signed in.
  const login = 'session_id("of7"); session_start(); $_SESSION["user_id"] = "7";' +
    "session_write_close();";
  const text = `<?php\n${tokens.php}\n${login}\n$_SERVER["REQUEST_METHOD"] = "POST";\n${session}`;
  writeFileSync(join(folder, "t.php"), text);
  const env = { TIDINGS_JWT_SECRET: SECRET };
  const options = { port: 9, folder, env };
  const token = (await finish(`php -d session.save_path=${folder} t.php`, options)).trim();
  const { hub } = await start("http://127.0.0.1:9");
  equal(await read(hub, "users/7/inbox", { authorization: `Bearer ${token}` }), 200);
});

const mint = async ({ paste }, words) =>
  (await finish(`tidings token --config hub.toml ${words}`, paste)).trim();

guide.notRun("event: tidings.expiring", "what a stream shows; the test of the next block has one");
const renew = guide.run("curl -X PUT");
test("snippets of docs/guides/access.md: another token for a running stream", async () => {
  const world = await start("http://127.0.0.1:9");
  const rights = "--subject 7 --subscribe 'users/7/**'";
  const token = (expires) => mint(world, `${rights} --expires ${expires}`);
  const authorization = `Authorization: Bearer ${await token("9s")}`;
  const stream = paste(`curl -N -H "${authorization}" $HUB/events/users/7/inbox`, world.paste);
  const found = () => /event: tidings\.expiring\ndata: (.*)\n/.exec(stream.said());
  await until("it is about to end", found);
  const { connection, handle } = JSON.parse(found()[1]);
  const env = { ...world.paste.env, TOKEN: await token("10m") };
  const replace = { '"handle":"…"': `"handle":"${handle}"`, "5f21c0de-1a": connection };
  const printed = await finish(renew, { ...world.paste, env, replace });
  ok(Date.parse(JSON.parse(printed).expires) > Date.now() + 60_000, printed);
});

const sign = guide.run("tidings sign");
for (const [part, file] of [
  ["const text = [\"tidings-link-v1\"", "tests/links/sign.mjs"],
  ["text = \"\\n\".join(", "tests/links/sign.py"],
  ["$text = implode(", "tests/links/sign.php"],
  ["strconv.FormatInt(until, 10)", "tests/links/sign.go"],
  ["Base64.urlsafe_encode64", "tests/links/sign.rb"],
]) {
  guide.elsewhere(part, file);
}
const link = guide.run("/links?topic=");
test("snippets of docs/guides/access.md: links of the command line and of the hub", async () => {
  const world = await start("http://127.0.0.1:9");
  const url = (await finish(sign, world.paste)).trim();
  equal((await fetch(url, { headers: { accept: "application/json" } })).status, 200, url);
  const TOKEN = await mint(world, "--subject 7 --subscribe 'users/7/**'");
  const env = { ...world.paste.env, TOKEN };
  const own = JSON.parse(await finish(link, { ...world.paste, env }));
  const address = world.hub.url + own.link;
  equal((await fetch(address, { headers: { accept: "application/json" } })).status, 200, address);
});

guide.notRun('"type": "tidings.connections"', "a sample; FastAPI's receiver above verifies one");
const kick = guide.run("DELETE -H \"$op\" \"$HUB/connections");
test("snippets of docs/guides/access.md: a user is sent away, and let in again", async () => {
  const world = await start("http://127.0.0.1:9");
  const token = await mint(world, "--subject 7 --subscribe 'users/7/**'");
  const authorization = `Authorization: Bearer ${token}`;
  const stream = paste(`curl -N -H "${authorization}" $HUB/events/users/7/a`, world.paste);
  await until("it is open", () => stream.said().includes("tidings.open"));
  const printed = await finish(kick, world.paste);
  ok(printed.includes('"closed":1') && printed.includes('"denied_until"'), printed);
  await until("it is closed", () => stream.said().includes('{"reason":"kicked"}'));
  equal(await read(world.hub, "users/7/a", { authorization: `Bearer ${token}` }), 200, "lifted");
});

guide.complete();
