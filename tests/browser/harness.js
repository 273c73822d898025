// A test is a sentence and a function. Tests run one after the other, because they share a machine
// of two cores.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tests = [];

/** `fn` gets no arguments; what it opens it passes to `after`, to be undone in reverse. */
export function test(sentence, fn) {
  tests.push({ sentence, fn });
}

const undo = [];

/** Registers something to end with the test. */
export function after(fn) {
  undo.push(fn);
}

/** A new folder, removed after the test. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "tidings-test-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The path of a new file with this text, removed after the test. */
export function temporaryFile(name, text) {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
}

/** Thrown by a test that cannot be run here. */
export class Skipped extends Error {}

export function equal(actual, expected, what = "") {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}${what && ": "}${a} instead of ${b}`);
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}

/** Waits until `fn` returns something true. */
export async function until(what, fn, ms = 10_000) {
  const deadline = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await fn();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline)
      throw new Error(`never: ${what} (last: ${last?.message ?? JSON.stringify(last)})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs all tests whose sentence contains `wanted`, and returns how many failed. */
export async function run(wanted = "") {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const { sentence, fn } of tests.filter(({ sentence }) => sentence.includes(wanted))) {
    const started = Date.now();
    let problem;
    try {
      await withLimit(fn(), process.env.PICTURES ? 120_000 : 60_000);
    } catch (error) {
      problem = error;
    }
    while (undo.length) {
      try {
        await undo.pop()();
      } catch (error) {
        problem ??= error;
      }
    }
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    if (problem instanceof Skipped) {
      skipped += 1;
      console.log(`skipped ${sentence}: ${problem.message}`);
    } else if (problem) {
      failed += 1;
      const stack = problem.stack.replaceAll("\n", "\n        ");
      console.log(`FAILED  ${sentence} (${seconds} s)\n        ${stack}`);
    } else {
      passed += 1;
      console.log(`ok      ${sentence} (${seconds} s)`);
    }
  }
  const rest = skipped ? `, ${skipped} skipped` : "";
  console.log(`\n${passed} passed, ${failed} failed${rest}`);
  return failed;
}

function withLimit(promise, ms) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
