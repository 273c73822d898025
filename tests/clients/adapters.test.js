// The adapters of examples/ai-sdk, under the packages whose stores they replace.

import { cpSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createResumableStreamContext } from "assistant-stream/resumable";
import { equal, pause, temporaryFolder, test } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";

/** An example's module; its own imports are found as if it had been installed. */
function example(name) {
  const folder = temporaryFolder();
  cpSync(new URL(`../../examples/ai-sdk/${name}`, import.meta.url), join(folder, name));
  symlinkSync(new URL("node_modules", import.meta.url), join(folder, "node_modules"));
  return import(join(folder, name));
}

const PIECES = ["one\n", "two ⚡", " three\r\n", "four"];

/** A stream of the pieces, one every 50 ms, which ends after `released`. */
function slowly(pieces, released) {
  return new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(piece);
        await pause(50);
      }
      await released;
      controller.close();
    },
  });
}

async function text(stream) {
  let all = "";
  const decoder = new TextDecoder();
  for await (const piece of stream) {
    all += typeof piece === "string" ? piece : decoder.decode(piece, { stream: true });
  }
  return all;
}

test(
  "assistant-stream: producer, joiner and latecomer read the same from the hub",
  async () => {
    const hub = await startHub();
    const { hubStore } = await example("assistant-stream.mjs");
    const roles = [];
    const context = createResumableStreamContext({
      store: hubStore(hub.url),
      onAcquire: (_, role) => roles.push(role),
    });
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const bytes = () => slowly(PIECES, released).pipeThrough(new TextEncoderStream());
    equal(await context.status("1"), "missing");
    equal(await context.resume("1"), null);
    const producer = await context.run("1", bytes);
    const joiner = await context.run("1", () => {
      throw new Error("a second generation");
    });
    equal(await context.status("1"), "streaming");
    release();
    const whole = PIECES.join("");
    equal(await Promise.all([producer, joiner].map(text)), [whole, whole]);
    equal(await context.status("1"), "done");
    equal(await text(await context.resume("1")), whole, "a latecomer");
    equal(await text(await context.run("1", bytes)), whole, "a run of an ended stream");
    equal(roles, ["producer", "consumer", "consumer"]);
  },
  { together: true },
);

test(
  "resumable-stream: the hub's context answers as its types say",
  async () => {
    const hub = await startHub();
    const { createHubContext } = await example("resumable-stream.mjs");
    const context = createHubContext(hub.url);
    equal(await context.hasExistingStream("1"), null);
    equal(await context.resumeExistingStream("1"), undefined);
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const producer = await context.resumableStream("1", () => slowly(PIECES, released));
    equal(await context.hasExistingStream("1"), true);
    const joiner = await context.resumableStream("1", () => {
      throw new Error("a second generation");
    });
    const skipping = await context.resumeExistingStream("1", 6);
    release();
    const whole = PIECES.join("");
    const read = await Promise.all([producer, joiner, skipping].map(text));
    equal(read, [whole, whole, whole.slice(6)]);
    equal(await context.hasExistingStream("1"), "DONE");
    equal(await context.resumeExistingStream("1"), null);
    equal(await context.createNewResumableStream("1", () => slowly([])), null);
  },
  { together: true },
);
