// The parser of tidings.js against the vectors of the Rust codec, without a browser.

import { readdirSync, readFileSync } from "node:fs";
import { EventBlocks } from "../../crates/tidings-web/assets/npm/tidings.js";
import { equal, ok, test } from "./harness.js";

const VECTORS = new URL("../../crates/tidings-codec/tests/vectors/", import.meta.url);

/** All cases; crates/tidings-codec/tests/vectors/README.md says how they are written. */
function cases() {
  const files = readdirSync(VECTORS).filter((name) => name.endsWith(".txt"));
  return files.flatMap((file) => {
    const blocks = readFileSync(new URL(file, VECTORS), "utf8").split("\n\n");
    return blocks.filter((block) => block.includes("case:")).map((block) => readCase(file, block));
  });
}

function readCase(file, block) {
  const one = { name: file, wire: [], events: [], lastEventId: "", retry: undefined };
  for (const line of block.split("\n")) {
    if (!line || line.startsWith("#")) continue;
    const [, key, times, value] = line.match(/^([a-z-]+)(?:\*(\d+))?: ?(.*)$/);
    const quoted = () => value.split('"').filter((_, n) => n % 2).map((part) => text(part));
    if (key === "case") one.name += `: ${value}`;
    if (key === "seed") one.lastEventId = one.seed = quoted()[0];
    if (key === "wire") {
      for (let n = 0; n < Number(times ?? 1); n += 1) one.wire.push(...unescaped(value));
    }
    if (key === "event") {
      const [type, id, data] = quoted();
      one.events.push([type, id, data.repeat(Number(times ?? 1))]);
    }
    if (key === "last-event-id") one.lastEventId = quoted()[0];
    if (key === "retry") one.retry = value;
  }
  one.wire = Uint8Array.from(one.wire);
  return one;
}

const ESCAPES = { n: 10, r: 13, t: 9, s: 32, 0: 0, "\\": 92 };

function unescaped(escaped) {
  const bytes = [];
  const pieces = /\\x(..)|\\u\{(.+?)\}|\\(.)|([^\\]+)/g;
  for (const [, hex, scalar, letter, plain] of escaped.matchAll(pieces)) {
    if (hex) bytes.push(Number.parseInt(hex, 16));
    else if (letter) bytes.push(ESCAPES[letter]);
    else {
      const text = scalar ? String.fromCodePoint(Number.parseInt(scalar, 16)) : plain;
      bytes.push(...new TextEncoder().encode(text));
    }
  }
  return bytes;
}

function text(escaped) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(Uint8Array.from(unescaped(escaped)));
}

/** The events that a page gets when these pieces of bytes arrive. */
function hear(pieces, seed = "") {
  const outcome = { events: [], lastEventId: seed, retry: undefined };
  const blocks = new EventBlocks((field, value) => {
    if (field === "retry" && /^[0-9]+$/.test(value)) outcome.retry = value;
  });
  blocks.dispatch = ({ type, data, id }) => {
    if (id !== undefined) outcome.lastEventId = id;
    if (data !== undefined) outcome.events.push([type || "message", outcome.lastEventId, data]);
  };
  const decoder = new TextDecoder();
  for (const piece of pieces) blocks.push(decoder.decode(piece, { stream: true }));
  return outcome;
}

/** Whole; in pieces of one size, with and without empty ones between; in two at every place. */
function* cuts(wire) {
  yield ["whole", [wire]];
  for (const size of [1, 2, 3, 7]) {
    const pieces = [];
    for (let at = 0; at < wire.length; at += size) pieces.push(wire.subarray(at, at + size));
    yield [`pieces of ${size}`, pieces];
    const empty = wire.subarray(0, 0);
    yield [`pieces of ${size} and of none`, pieces.flatMap((piece) => [empty, piece])];
  }
  const places = Math.min(wire.length, 300);
  for (let at = 1; at < places; at += 1) {
    yield [`cut at ${at}`, [wire.subarray(0, at), wire.subarray(at)]];
  }
}

test("format: every vector of the codec is parsed the same at every cut", async () => {
  const all = cases();
  ok(all.length > 50, `${all.length} vectors`);
  for (const { name, wire, seed, events, lastEventId, retry } of all) {
    for (const [cut, pieces] of cuts(wire)) {
      const heard = hear(pieces, seed);
      equal(heard.events, events, `${name}, ${cut}`);
      equal(heard.lastEventId, lastEventId, `${name}, ${cut}: last event id`);
      const number = (digits) => digits && BigInt(digits).toString();
      const want = retry && BigInt(retry) >= 2n ** 64n - 1n ? number(heard.retry) : number(retry);
      equal(number(heard.retry), want, `${name}, ${cut}: retry`);
    }
  }
});

test("format: line ends of short streams are the same in all ways to cut them", async () => {
  const streams = ["a\r\n\r\nb", "a\r\n\n\r\rb", "\r\n\r\n\r\n", "\r\r\n\n\r\n", "\n\r\n\r\r\n"];
  for (const stream of streams) {
    const bytes = new TextEncoder().encode(`data:1${stream}data:2\n\n`);
    const [from, length] = [6, stream.length];
    const whole = hear([bytes]);
    for (let mask = 0; mask < 2 ** length; mask += 1) {
      const pieces = [];
      let begin = 0;
      for (let n = 0; n < length; n += 1) {
        if (!(mask & (1 << n))) continue;
        pieces.push(bytes.subarray(begin, from + n));
        begin = from + n;
      }
      pieces.push(bytes.subarray(begin));
      equal(hear(pieces).events, whole.events, `${JSON.stringify(stream)}, ${mask}`);
    }
  }
});

test("format: each character of a long line is looked at a bounded number of times", async () => {
  // Counted in the parser's own splitting, because a clock would measure the machine.
  const split = String.prototype.split;
  let looked = 0;
  String.prototype.split = function (...rest) {
    looked += this.length;
    return split.apply(this, rest);
  };
  try {
    const blocks = new EventBlocks();
    let data;
    blocks.dispatch = (block) => (data = block.data);
    const piece = "x".repeat(1024);
    blocks.push("data: ");
    for (let n = 0; n < 4096; n += 1) blocks.push(piece);
    blocks.push("\n\n");
    equal(data.length, 4096 * 1024);
    ok(looked < 2 * data.length, `${looked} characters looked at for ${data.length}`);
  } finally {
    String.prototype.split = split;
  }
});

test("format: an endless event is an error, and endless comments are not", async () => {
  const endless = new EventBlocks();
  const piece = "x".repeat(1 << 20);
  let error;
  try {
    endless.push("data: ");
    for (let n = 0; n < 17; n += 1) endless.push(piece);
  } catch (caught) {
    error = caught;
  }
  ok(error instanceof RangeError, `${error}`);

  const lines = new EventBlocks();
  let events = 0;
  lines.dispatch = () => (events += 1);
  for (let n = 0; n < 17; n += 1) lines.push(`:${piece}\nevent: a\nid: ${n}\n`);
  lines.push("data: x\n\n");
  equal(events, 1);
});
