// The parser.

import { EVENT_CHARS_MAX } from "./limits.js";

/**
 * The event stream format (HTML standard, section 9.2.6), for text that comes in pieces of any
 * size. It takes time in proportion to the text: each character is looked at once, and a line or a
 * block is put together when it is complete, because engines join strings without copying them. The
 * decoder of the bytes drops the byte order mark, as `TextDecoder` does.
 */
export class EventBlocks {
  dispatch = () => {};
  #other;
  /** The incomplete line. */
  #line = "";
  /** The last piece ended with CR: a LF at the start of the next one ends no line. */
  #afterCr = false;
  /** The incomplete block. */
  #block = {};

  constructor(other = () => {}) {
    this.#other = other;
  }

  /** Takes the next piece. Throws a RangeError if a line or an event is too long. */
  push(text) {
    if (text === "") return;
    if (this.#afterCr && text[0] === "\n") text = text.slice(1);
    this.#afterCr = text.endsWith("\r");
    const [first, ...others] = text.split(/\r\n?|\n/);
    this.#grow(first);
    for (const start of others) {
      const line = this.#line;
      this.#line = "";
      this.#take(line);
      this.#grow(start);
    }
  }

  #grow(piece) {
    this.#line += piece;
    if (this.#line.length + (this.#block.data?.length ?? 0) > EVENT_CHARS_MAX) {
      throw new RangeError("an event is too large");
    }
  }

  #take(line) {
    const block = this.#block;
    if (line === "") {
      this.#block = {};
      this.dispatch(block);
      return;
    }
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (field === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (field === "event") block.type = value;
    else if (field === "id") block.id = value.includes("\0") ? block.id : value;
    else if (field) this.#other(field, value);
  }
}
