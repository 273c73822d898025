// The parser.

import { EVENT_CHARS_MAX } from "./limits.js";

/**
 * The event stream format (HTML standard, section 9.2.6), for text that comes in pieces of any
 * size. It takes time in proportion to the text: each character is looked at once, and a line or a
 * block is assembled when it is complete. The decoder of the bytes drops the byte order mark, as
 * `TextDecoder` does.
 */
export class EventBlocks {
  dispatch = () => {};
  #other;
  /** Pieces of the incomplete line. */
  #line = [];
  /** The last piece ended with CR: a LF at the start of the next one ends no line. */
  #afterCr = false;
  /** Data lines of the incomplete block. */
  #data = [];
  #type;
  #id;
  /** Number of characters of line and block so far. */
  #chars = 0;

  constructor(other = () => {}) {
    this.#other = other;
  }

  /** Takes the next piece. Throws a RangeError if a line or an event is too long. */
  push(text) {
    if (text === "") return;
    if (this.#afterCr && text[0] === "\n") text = text.slice(1);
    this.#afterCr = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    const rest = lines.pop();
    for (const line of lines) {
      this.#grow(line);
      const whole = this.#line.length === 1 ? line : this.#line.join("");
      this.#line = [];
      this.#take(whole);
    }
    if (rest) this.#grow(rest);
  }

  #grow(piece) {
    this.#chars += piece.length;
    if (this.#chars > EVENT_CHARS_MAX) throw new RangeError("an event is too large");
    this.#line.push(piece);
  }

  #take(line) {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    // Only data is kept with its block: a value and the line end after it.
    this.#chars -= field === "data" ? line.length - value.length - 1 : line.length;
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id") this.#id = value.includes("\0") ? this.#id : value;
    else if (field) this.#other(field, value);
  }

  #dispatch() {
    const data = this.#data.length ? this.#data.join("\n") : undefined;
    const block = { type: this.#type, data, id: this.#id };
    this.#data = [];
    this.#type = this.#id = undefined;
    this.#chars = 0;
    this.dispatch(block);
  }
}
