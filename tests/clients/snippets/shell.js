// Blocks for a shell, pasted whole into Bash in an empty folder, as a reader would.

import { spawn, spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, equal, Skipped, temporaryFolder, until } from "../../browser/harness.js";
import { PROGRAM } from "../../browser/hub.js";

/** The commands of a console block, and the output that it shows. */
export function session(code) {
  const commands = [];
  const output = [];
  let goesOn = false;
  for (const line of code.trimEnd().split("\n")) {
    if (line.startsWith("$ ")) commands.push(line.slice(2));
    else if (goesOn) commands.push(line);
    else output.push(line);
    goesOn = (goesOn || line.startsWith("$ ")) && line.endsWith("\\");
  }
  return { commands: commands.join("\n"), output: output.join("\n") };
}

/**
 * Starts a block, with the hub at `port` where the page says 3000 or `https://hub.example`, and
 * `replace` for whatever else only the reader has. It is ended with the test.
 */
export function paste(code, { port, folder = temporaryFolder(), replace = {}, env = {}, input }) {
  let text = code;
  for (const [from, to] of Object.entries(replace)) {
    if (!text.includes(from)) throw new Error(`the block says nothing of ${from}`);
    text = text.replaceAll(from, to);
  }
  const places = { "https://hub.example": `http://127.0.0.1:${port}`, "0.0.0.0": "127.0.0.1" };
  for (const [from, to] of Object.entries(places)) text = text.replaceAll(from, to);
  text = text.replaceAll(/:3000\b/g, `:${port}`);
  writeFileSync(join(folder, ".curlrc"), "silent\nshow-error\n");
  for (const program of ["jq", "openssl"]) {
    if (text.includes(`${program} `) && spawnSync(program, ["--version"]).error)
      throw new Skipped(`${program} is not here`);
  }
  const programs = temporaryFolder();
  symlinkSync(PROGRAM, join(programs, "tidings"));
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", text], {
    cwd: folder,
    detached: true,
    env: {
      ...process.env,
      PATH: `${programs}:${process.env.PATH}`,
      CURL_HOME: folder,
      TIDINGS_LISTEN: `127.0.0.1:${port}`,
      TIDINGS_URL: `http://127.0.0.1:${port}`,
      ...env,
    },
  });
  child.stdin.on("error", () => {}).end(input);
  let [out, errors] = ["", ""];
  child.stdout.on("data", (piece) => (out += piece));
  child.stderr.on("data", (piece) => (errors += piece));
  // Its end, not that of the programs it leaves in the background, which have its output open.
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const stop = async (signal = "SIGKILL") => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // All of them have ended.
    }
    await gone;
  };
  after(stop);
  return { folder, gone, stop, said: () => out, complained: () => errors };
}

/** Runs a block to its end; what it printed. */
export async function finish(code, options) {
  const running = paste(code, options);
  const status = await running.gone;
  equal(status, 0, `${running.complained()}${running.said()}${code}`);
  return running.said();
}

/** Runs a block, whose last command does not end, until it has printed `wanted`. */
export async function watch(code, options, wanted) {
  const running = paste(code, options);
  const problem = () => `${running.complained()}${running.said()}`;
  await until(`it prints ${wanted}`, () => wanted.test(running.said())).catch((error) => {
    throw new Error(`${error.message}\n${problem()}`);
  });
  return running;
}

/** What a page shows as output, as a pattern: ids, times and random numbers may be others. */
export function shown(output) {
  const literal = output.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const ids = literal.replace(/k7q2ma/g, "[a-z0-9]{6}");
  return new RegExp(ids.replace(/retry: \d+/g, "retry: \\d+"));
}
