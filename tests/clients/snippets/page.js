// A document and its fenced blocks. Each block is claimed by the test that runs it, here or
// elsewhere, or by the reason for which none does; `complete` fails for one that nobody claims.

import { readFileSync } from "node:fs";
import { ok, test } from "../../browser/harness.js";

const ROOT = new URL("../../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");

/** A line of code without its indentation, comment at the end and spaces between words. */
const bare = (line) => line.replace(/\s+(#|\/\/) .*$/, "").replace(/\s+/g, " ").trim();

export class Page {
  #path;
  #blocks;

  constructor(path) {
    this.#path = path;
    this.#blocks = blocks(read(path));
  }

  /** The code of the one block that contains `part`, for the test that calls this to run. */
  run(part) {
    return this.#claim(part).code;
  }

  /** The block consists of lines of a file that another test runs. */
  elsewhere(part, path) {
    const block = this.#claim(part);
    test(`snippets of ${this.#path}: line ${block.line} has the lines of ${path}`, async () => {
      const tested = new Set(read(path).split("\n").map(bare));
      for (const line of block.code.split("\n").map(bare))
        ok(!line || tested.has(line), `${path} has no line: ${line}`);
    });
  }

  /** The block is taken from the page and run by `path`. */
  takenBy(part, path) {
    const name = this.#path.split("/").pop();
    this.#claim(part);
    ok(read(path).includes(name), `${path} reads ${name}`);
  }

  /** No test runs the block, for a reason that a reader of the tests accepts. */
  notRun(part, reason) {
    ok(reason.length > 10, "a reason");
    this.#claim(part);
  }

  /** Adds the test that every block is claimed. */
  complete() {
    test(`snippets of ${this.#path}: each is run, or not for a reason`, async () => {
      const left = this.#blocks.filter(({ claimed }) => !claimed);
      const said = left.map(({ line, code }) => `${this.#path}:${line}: ${code.split("\n")[0]}`);
      ok(!left.length, `no test runs\n${said.join("\n")}`);
    });
  }

  #claim(part) {
    const found = this.#blocks.filter(({ code }) => code.includes(part));
    ok(found.length === 1, `${this.#path} has ${found.length} blocks with: ${part}`);
    ok(!found[0].claimed, `${this.#path} has one block with: ${part}, and it is claimed`);
    found[0].claimed = true;
    return found[0];
  }
}

/** The fenced blocks of a text in Markdown, with the line of each fence. */
function blocks(text) {
  const all = [];
  let open;
  for (const [n, line] of text.split("\n").entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (!fence && open) open.code += `${line}\n`;
    if (!fence) continue;
    if (open) all.push(open);
    open = open ? undefined : { line: n + 1, code: "", claimed: false };
  }
  ok(!open, "the last block is closed");
  return all;
}
