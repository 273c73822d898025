// The files of `examples/`, as they are but for the addresses. (Those of `examples/browser` and
// the page of `examples/express` are opened in a browser, in `tests/browser`.)

import { execFile, spawn, spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { EventSource } from "eventsource";
import { after, equal, ok, Skipped, temporaryFolder, test, until } from "../browser/harness.js";
import { startHub, startHubWithKey } from "../browser/hub.js";
import { freePort } from "../ports.js";
import { listen, SECRET, startMercure } from "./mercure.js";

const PATIENCE = 50_000;
const PYTHON = () => process.env.PYTHON || skip("the Python packages could not be installed");

function skip(why) {
  throw new Skipped(why);
}

/** The path of a copy that knows where the hub is. */
function example(name, folder, addresses) {
  let text = readFileSync(new URL(`../../examples/${name}`, import.meta.url), "utf8");
  for (const [from, to] of Object.entries(addresses)) {
    ok(text.includes(from), `${name} speaks of ${from}`);
    text = text.replaceAll(from, to);
  }
  const file = join(folder, name.split("/")[1]);
  writeFileSync(file, text);
  return file;
}

/** Runs an example to its end; what it printed. */
async function finish(hub, program, name, env = {}) {
  const file = example(name, temporaryFolder(), { "http://127.0.0.1:3000": hub.url });
  const options = { timeout: PATIENCE, env: { ...process.env, ...env } };
  return (await promisify(execFile)(program, [file], options)).stdout;
}

/** Starts an example that goes on; the lines it prints, and how to end it. */
function start(program, file, folder, more = {}) {
  const lines = [];
  const env = { ...process.env, ...more };
  const child = spawn(program, [file], { cwd: folder, detached: true, stdio: "pipe", env });
  let text = "";
  child.stdout.on("data", (piece) => {
    const all = (text + piece).split("\n");
    text = all.pop();
    lines.push(...all);
  });
  let said = "";
  child.stderr.on("data", (piece) => (said += piece));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    const runs = child.exitCode === null && child.signalCode === null;
    if (runs) process.kill(-child.pid, "SIGKILL"); // and the programs that it has started
    await gone;
  };
  after(stop);
  return { lines, stop, gone, said: () => said };
}

/** The events of a topic: type and data. */
async function history(hub, topic, headers = {}) {
  const all = { accept: "application/json", ...headers };
  const answer = await fetch(`${hub.url}/events/${topic}?last=100`, { headers: all });
  return (await answer.json()).events.map(({ event, data }) => [event ?? "message", data]);
}

test("curl/publish.sh publishes a text, JSON with a type, an id of its own, lines", async () => {
  const hub = await startHub();
  const printed = await finish(hub, "sh", "curl/publish.sh");
  ok(printed.includes('{"id":"order-7-paid"}'), printed);
  await finish(hub, "sh", "curl/publish.sh");
  const once = [
    ["message", "world"],
    ["alarm", '{"room":7}'],
  ];
  const lines = ["line 1", "line 2", "line 3"].map((data) => ["message", data]);
  equal(await history(hub, "hello"), [...once, ["message", "paid"], ...lines, ...once, ...lines]);
});

for (const [name, program] of [
  ["curl/listen.sh", () => "sh"],
  ["python/listen.py", PYTHON],
]) {
  test(`${name} has every event once over kill -9`, async () => {
    const hub = await startHub(["--retry", "300ms"]);
    const folder = temporaryFolder();
    const file = example(name, folder, { "http://127.0.0.1:3000": hub.url });
    const listener = start(program(), file, folder);
    const words = (lines) => lines.map((line) => line.split(" ").pop()).filter((w) => +w > 0);
    const all = [];
    const publish = async (first, last) => {
      for (let n = first; n <= last; n += 1) {
        all.push(`${n}`);
        await hub.publish("hello", `${n}`);
      }
    };
    await until("it listens", async () => (await hub.subscribers()) === 1);
    await publish(1, 3);
    await until("three", () => words(listener.lines).length === 3);
    await hub.kill("SIGKILL");
    await hub.start();
    await publish(4, 6);
    await until("six", () => words(listener.lines).length >= 6);
    equal(words(listener.lines), all);
    if (name.startsWith("python")) {
      await hub.end("hello");
      equal(await listener.gone, 0, "its exit code, when the topic has ended");
      return;
    }
    // It knows its place when it is started again, too.
    const id = () => readFileSync(join(folder, "hello.id"), "utf8").trim();
    const head = (await (await fetch(`${hub.url}/stats`)).json()).last_id;
    await until("the place is written", () => id() === head);
    await listener.stop();
    await publish(7, 9);
    const again = start(program(), file, folder);
    await until("three more", () => words(again.lines).length >= 3);
    equal(words(again.lines), ["7", "8", "9"], again.said());
  });
}

for (const [name, program, json] of [
  ["python/publish.py", PYTHON, '{"name": "world"}'],
  ["php/publish.php", () => "php", '{"name":"world"}'],
]) {
  test(`${name} publishes, with a token too, and says why it is refused`, async () => {
    if (program() === "php" && spawnSync("php", ["-v"]).error) skip("php is not here");
    const open = await startHub();
    const id = (await finish(open, program(), name)).trim();
    equal(id, (await open.stats()).last_id);
    equal(await history(open, "hello"), [["message", json]]);
    const { hub, key } = await startHubWithKey();
    await finish(hub, program(), name, { TIDINGS_TOKEN: key });
    const authorization = `Bearer ${key}`;
    equal(await history(hub, "hello", { authorization }), [["message", json]]);
    const refused = await finish(hub, program(), name).catch((error) => error);
    ok(refused.code > 0, "it fails without a token");
    ok(/401|token/i.test(refused.stderr + refused.stdout), refused.stderr);
  });
}

for (const [name, program] of [
  ["fetch/run.mjs", () => process.execPath],
  ["python/run.py", PYTHON],
]) {
  test(`${name} begins a run, streams into it and ends it, once`, async () => {
    const hub = await startHub();
    const printed = await finish(hub, program(), name);
    ok(printed.startsWith("200"), printed);
    const words = ["Streams", "that", "end"].map((data) => ["message", data]);
    equal(await history(hub, "runs/7"), words);
    const open = await fetch(`${hub.url}/events/runs/7?from=start&if=open`);
    equal(open.status, 204, "whether it runs");
    const again = await finish(hub, program(), name);
    ok(again.startsWith("412"), again);
    equal(await history(hub, "runs/7"), words, "after a second run of the same name");
  });
}

test("express/server.mjs publishes orders, and its token lets a visitor read one", async () => {
  const hub = await startMercure();
  const folder = temporaryFolder();
  const port = await freePort();
  symlinkSync(new URL("node_modules", import.meta.url), join(folder, "node_modules"));
  example("express/page.html", folder, { "http://127.0.0.1:3000": hub.url });
  const addresses = { "http://127.0.0.1:3000": hub.url, "listen(8080": `listen(${port}` };
  const file = example("express/server.mjs", folder, addresses);
  const server = start(process.execPath, file, folder, { TIDINGS_JWT_SECRET: SECRET });
  const site = `http://localhost:${port}`;
  const page = await until("its page", async () => (await fetch(site)).text());
  ok(page.includes(hub.url), `the page: ${page}${server.said()}`);
  for (const [, path] of page.matchAll(/from "(\/.*)"/g)) {
    equal((await fetch(site + path)).status, 200, path);
  }
  const token = await (await fetch(`${site}/token`)).text();
  const source = new EventSource(`${hub.url}/events/orders/7?${new URLSearchParams({ token })}`);
  const heard = listen(source);
  await until("open", () => source.readyState === 1);
  const order = async (number, state) => {
    const answer = await fetch(`${site}/orders/${number}`, {
      method: "POST",
      body: JSON.stringify({ state }),
      headers: { "content-type": "application/json" },
    });
    equal(answer.status, 200, await answer.text());
  };
  await order(8, "not this visitor's");
  await order(7, "sent");
  await until("an event", () => heard.length === 1);
  equal(heard[0].data, '{"state":"sent"}');
  const headers = { authorization: `Bearer ${token}` };
  const other = await fetch(`${hub.url}/events/orders/8`, { headers });
  equal(other.status, 403, "another's order");
  await other.body.cancel();
});
