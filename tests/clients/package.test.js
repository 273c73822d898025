// The Python package of `clients/python`: built, installed and used as its users do.

import { execFile, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { after, equal, ok, temporaryFolder, test, until } from "../browser/harness.js";
import { PROGRAM, startHub } from "../browser/hub.js";
import { python } from "./llm.js";

const SOURCE = new URL("../../clients/python", import.meta.url).pathname;

/** Runs Python in the folder of the package; what it printed. */
async function run(words, env = {}) {
  const environment = { ...process.env, PYTHONDONTWRITEBYTECODE: "1", ...env };
  const options = { cwd: SOURCE, env: environment, timeout: 58_000 };
  return promisify(execFile)(python(), words, options).then(
    ({ stdout }) => stdout,
    ({ message, stdout, stderr }) => {
      throw new Error(`${message}\n${stdout}\n${stderr}`);
    },
  );
}

for (const [what, names] of [
  ["its tests", ["test_decoder.py", "test_hub.py"]],
  ["those of its tokens", ["test_renewal.py"]],
  ["those of its states", ["test_state.py"]],
]) {
  test(`tidings (Python): ${what} pass, sync and async, against the hub`, async () => {
    const env = { TIDINGS: PROGRAM, PYTHONPATH: join(SOURCE, "src") };
    // Where one hangs, it says where.
    const words = ["-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=25"];
    const files = names.map((name) => join("tests", name));
    const printed = await run(["-m", "pytest", ...words, ...files], env);
    ok(/\d+ passed/.test(printed) && !/failed|skipped/.test(printed), printed);
  });
}

test("tidings (Python): its types are complete", async () => {
  const cache = temporaryFolder();
  await run(["-m", "mypy", "--strict", "--cache-dir", cache, "src/tidings"]);
});

test("tidings (Python): its wheel is built, and does what its page says", async () => {
  const [wheels, place] = [temporaryFolder(), temporaryFolder()];
  const pip = ["-m", "pip", "--disable-pip-version-check", "-q"];
  await run([...pip, "wheel", "--no-deps", "-w", wheels, SOURCE]);
  const names = readdirSync(wheels);
  equal(names, ["tidings-0.1.0-py3-none-any.whl"]);
  await run([...pip, "install", "--no-deps", "--target", place, join(wheels, names[0])]);
  const hub = await startHub();
  const script = `
from tidings import Hub
with Hub("${hub.url}") as hub:
    hub.publish("orders/7", {"state": "sent"}, event="changed")
    for event in hub.subscribe("orders/*", last=10):
        print(event.topic, event.event, event.json())
        break
`;
  const printed = await run(["-c", script], { PYTHONPATH: place });
  equal(printed, "orders/7 changed {'state': 'sent'}\n");
});

test("tidings (Python): docs/guides/state.md, as it stands there", async () => {
  const guide = readFileSync(new URL("../../docs/guides/state.md", import.meta.url), "utf8");
  const [, block] = /```python\n([^]*?)```/.exec(guide);
  const hub = await startHub();
  await hub.publish("stocks", "101", { key: "ACME" });
  const script = block.replace("http://127.0.0.1:3000", hub.url);
  ok(script !== block, "the block names the hub");
  const env = { ...process.env, PYTHONPATH: join(SOURCE, "src"), PYTHONDONTWRITEBYTECODE: "1" };
  const stdio = ["ignore", "pipe", "inherit"];
  const child = spawn(python(), ["-u", "-c", script], { env, stdio });
  after(() => child.kill("SIGKILL"));
  let printed = "";
  child.stdout.on("data", (piece) => (printed += piece));
  await until("the state", () => printed === "{'ACME': '101'}\n");
  await hub.publish("stocks", "102", { key: "ACME" });
  await hub.removeKey("stocks", "ACME");
  await hub.end("stocks");
  await until("its end", () => child.exitCode === 0);
  equal(printed, "{'ACME': '101'}\nACME 102\nACME None\n");
});
