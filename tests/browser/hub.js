// A hub as users run it: the program, on a loopback port of its own (tests start it there again).

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, equal, temporaryFile } from "./harness.js";
import { freePort } from "../ports.js";

export const PROGRAM =
  process.env.TIDINGS ?? new URL("../../target/debug/tidings", import.meta.url).pathname;

/** Starts one; it ends with the test. */
export async function startHub(options = [], command = "serve") {
  const hub = new Hub(command, options);
  await hub.start();
  after(() => hub.remove());
  return hub;
}

/** Starts one that rejects requests without a key; `key` may do everything, `settings` is TOML. */
export async function startHubWithKey(options = [], settings = "") {
  const key = "a-key-for-the-browser-tests";
  const keys = `[[keys]]\nname = "page"\nkey = "${key}"\npublish = ["**"]\nsubscribe = ["**"]\n`;
  const table = `${settings}\n${keys}`;
  const hub = await startHub(["--config", temporaryFile("hub.toml", table), ...options]);
  return { hub, key };
}

class Hub {
  #command;
  #options;
  #child;
  #folder = mkdtempSync(join(tmpdir(), "tidings-hub-"));
  port = 0;
  /** What it has printed. */
  said = "";

  constructor(command, options) {
    this.#command = command;
    this.#options = options;
  }

  get url() {
    const scheme = this.#options.includes("--tls-cert") ? "https" : "http";
    return `${scheme}://127.0.0.1:${this.port}`;
  }

  async start() {
    this.port ||= await freePort();
    const place = [
      "--listen",
      `127.0.0.1:${this.port}`,
      "--data",
      join(this.#folder, "log"),
      "--log",
      "warn",
    ];
    const child = spawn(PROGRAM, [this.#command, ...place, ...this.#options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    this.said = "";
    this.port = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the hub ended with ${code}: ${this.said}`)));
      child.stdout.on("data", (piece) => {
        this.said += piece;
        const found = this.said.match(/listening on https?:\/\/127\.0\.0\.1:(\d+)/);
        if (found) resolve(Number(found[1]));
      });
    });
  }

  /** As a crash would: `kill -9`. */
  async kill(signal = "SIGKILL") {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  async remove() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** `terms` are parameters of the request, such as `event` and `key`. */
  async publish(topic, data, { token, ...terms } = {}) {
    const said = Object.entries(terms).filter(([, value]) => value !== undefined);
    const answer = await fetch(`${this.url}/events/${topic}?${new URLSearchParams(said)}`, {
      method: "POST",
      body: data,
      headers: token ? { authorization: `Bearer ${token}` } : {},
    });
    equal(answer.status, 200, `publishing to ${topic}`);
    return (await answer.json()).id;
  }

  async removeKey(topic, key) {
    const query = new URLSearchParams({ key });
    const answer = await fetch(`${this.url}/events/${topic}?${query}`, { method: "DELETE" });
    equal(answer.status, 200, `removing ${key} of ${topic}`);
  }

  async end(topic) {
    const answer = await fetch(`${this.url}/events/${topic}`, { method: "DELETE" });
    equal(answer.status, 200, `ending ${topic}`);
  }

  async stats() {
    return (await fetch(`${this.url}/stats`)).json();
  }

  async subscribers() {
    return (await this.stats()).subscribers;
  }
}
