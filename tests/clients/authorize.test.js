// `[[authorize]]` with applications that know their users by session cookies of their own.

import { spawn } from "node:child_process";
import { EventSource } from "eventsource";
import { after, equal, ok, Skipped, temporaryFile, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { freePort } from "../ports.js";

const KEY = "a-key-for-the-tests";
const HERE = new URL(".", import.meta.url).pathname;

const APPLICATIONS = {
  Express: () => [process.execPath, "authorize_app.js"],
  FastAPI: () => {
    if (!process.env.PYTHON) throw new Skipped("the Python packages could not be installed");
    return [process.env.PYTHON, "authorize_app.py"];
  },
};

for (const [name, program] of Object.entries(APPLICATIONS)) {
  const sentence = `${name}: its session cookie opens a stream, which outlives the application`;
  const fn = async () => {
    const [command, script] = program();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    let child;
    const start = async () => {
      child = spawn(command, [script, String(port)], { cwd: HERE, stdio: "inherit" });
      const answers = async () => (await fetch(`${url}/asked`).catch(() => null))?.ok;
      await until(`${name} answers`, answers);
    };
    const stop = async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    };
    await start();
    after(() => child.kill("SIGKILL"));

    const config = `
[[keys]]
name = "test"
key = "${KEY}"
publish = ["**"]

[[authorize]]
topics = ["orders/**"]
url = "${url}/hub/auth"
cookies = ["sessionid"]
`;
    const hub = await startHub(["--config", temporaryFile("hub.toml", config)]);
    const login = await fetch(`${url}/login?user=ann`, { method: "POST" });
    const cookie = login.headers.getSetCookie()[0].split(";")[0];
    ok(cookie.startsWith("sessionid="), "a cookie of the application");

    const get = async (topic, headers) => {
      const options = { headers: { accept: "application/json", ...headers } };
      return (await fetch(`${hub.url}/events/${topic}`, options)).status;
    };
    equal(await get("orders/ann/7", { cookie }), 200, "her own orders");
    equal(await get("orders/bob/7", { cookie }), 403, "somebody else's");
    equal(await get("orders/ann/7", { cookie: `${cookie}x` }), 403, "a forged cookie");
    equal(await get("orders/ann/7", {}), 401, "no cookie");
    equal(await get("users/ann", { cookie }), 401, "another topic");

    const withCookie = (input, init) =>
      fetch(input, { ...init, headers: { ...init.headers, cookie } });
    const source = new EventSource(`${hub.url}/events/orders/ann/7`, { fetch: withCookie });
    after(() => source.close());
    const heard = [];
    let opened = 0;
    source.onmessage = (event) => heard.push(event.data);
    source.onopen = () => (opened += 1);
    await until("it listens", () => opened === 1);
    const publish = async (data) => {
      const headers = { authorization: `Bearer ${KEY}` };
      await fetch(`${hub.url}/events/orders/ann/7`, { method: "POST", headers, body: data });
    };
    await publish("one");
    const count = async () => (await (await fetch(`${url}/asked`)).json()).asked;
    const asked = await count();
    await until("it is asked about again", async () => (await count()) >= asked + 2);

    await stop();
    await until("two answers are over", () => new Promise((done) => setTimeout(done, 2500, true)));
    await publish("two");
    await until("both events", () => heard.length === 2);
    equal([heard, opened], [["one", "two"], 1], "what was heard, on one connection");

    // Express has forgotten its sessions, as a restart without a store does.
    await start();
    if (name === "FastAPI") {
      const before = await count();
      await until("it is asked about again", async () => (await count()) >= before + 2);
      equal(opened, 1, "connections");
    }
    let closed = false;
    source.onerror = () => (closed ||= source.readyState === EventSource.CLOSED);
    if (name === "FastAPI") source.close();
    else await until("the stream of a session that is over ends", () => closed);
  };
  test(sentence, fn);
}
