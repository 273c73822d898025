// A test is a sentence and a function. Tests run one after the other, because they share a machine
// of two cores; those that mostly wait may ask to run together.

import { AsyncLocalStorage } from "node:async_hooks";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tests = [];

/** How a test runs: at most `max` of its neighbours at a time, each for `seconds` at most. */
const ALONE = { max: 1, seconds: 120 };
const TOGETHER = { max: 5, seconds: 120 };
const WATCH = { max: 24, seconds: 210 };

/** What is waited for comes at once on a quiet machine, and much later on a busy one. */
const WAIT_MS = 60_000;

/**
 * `fn` gets no arguments; what it opens it passes to `after`, to be undone in reverse. A test that
 * is `together` runs beside its neighbours that are, too. So does a `watch`, which spends nearly
 * all of its time waiting for something that must not happen: neighbours wait side by side. One
 * that needs more time than others says how many `seconds`.
 */
export function test(sentence, fn, { together = false, watch = false, seconds } = {}) {
  const how = (watch && WATCH) || (together && TOGETHER) || ALONE;
  tests.push({ sentence, fn, how, seconds: seconds ?? how.seconds });
}

/** What the test in progress has to undo. */
const undo = new AsyncLocalStorage();

/** Registers something to end with the test. */
export function after(fn) {
  undo.getStore().push(fn);
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
export async function until(what, fn) {
  const deadline = Date.now() + WAIT_MS;
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

const failures = [];

/** As many failed tests are run once more; `scripts/cargo-test` says why. */
const MOST_UNSTEADY = 3;

/** Runs all tests whose sentence contains `wanted`, and returns how many failed. */
export async function run(wanted = "") {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const rest = tests.filter(({ sentence }) => sentence.includes(wanted));
  while (rest.length) {
    const { how } = rest[0];
    const other = rest.findIndex((one) => one.how !== how);
    const neighbours = rest.splice(0, other === -1 ? rest.length : other);
    const worker = async () => {
      while (neighbours.length) counts[await undo.run([], runOne, neighbours.shift())] += 1;
    };
    await Promise.all(Array.from({ length: how.max }, worker));
  }
  if (failures.length <= MOST_UNSTEADY) {
    for (const { test } of failures.splice(0)) {
      console.log(`\n!!! ONCE MORE, ALONE: ${test.sentence}`);
      if ((await undo.run([], runOne, test)) !== "passed") continue;
      const line = `!!! UNSTEADY: ${test.sentence}`;
      console.log(line);
      if (process.env.UNSTEADY) appendFileSync(process.env.UNSTEADY, `${line}\n`);
      counts.failed -= 1;
      counts.passed += 1;
    }
  }
  const skipped = counts.skipped ? `, ${counts.skipped} skipped` : "";
  // Again, for a reader who sees the end of the output only.
  for (const { words } of failures) console.log(`\n${words}`);
  console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return counts.failed;
}

/** Runs a test, undoes what it did, says how it went, and returns that in one word. */
async function runOne(test) {
  const { sentence, fn, seconds } = test;
  const started = Date.now();
  let problem;
  try {
    await withLimit(fn(), (process.env.PICTURES ? 2 : 1) * seconds * 1000);
  } catch (error) {
    problem = error;
  }
  const mine = undo.getStore();
  while (mine.length) {
    try {
      await mine.pop()();
    } catch (error) {
      problem ??= error;
    }
  }
  const took = ((Date.now() - started) / 1000).toFixed(1);
  if (problem instanceof Skipped) {
    console.log(`skipped ${sentence}: ${problem.message}`);
    return "skipped";
  }
  if (problem) {
    const stack = problem.stack.replaceAll("\n", "\n        ");
    const words = `FAILED  ${sentence} (${took} s)\n        ${stack}`;
    failures.push({ test, words });
    console.log(words);
    return "failed";
  }
  console.log(`ok      ${sentence} (${took} s)`);
  return "passed";
}

function withLimit(promise, ms) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
