// Runs clients of language models in Python.

import { spawn } from "node:child_process";
import { after, Skipped } from "../browser/harness.js";

/** The Python that has the packages. */
export function python() {
  const { PYTHON } = process.env;
  if (!PYTHON) throw new Skipped("the Python packages could not be installed");
  return PYTHON;
}

/** What a client in Python read, and its exit code when it has ended. */
export function read(client, address) {
  const script = new URL("llm.py", import.meta.url).pathname;
  const words = [script, client, address];
  const child = spawn(python(), words, { stdio: ["ignore", "pipe", "inherit"] });
  after(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.on("data", (piece) => (text += piece));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  return { gone, events: () => text.split("\n").filter(Boolean).map((line) => JSON.parse(line)) };
}
