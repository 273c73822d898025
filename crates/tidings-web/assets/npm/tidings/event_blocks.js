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

  constructor(other = () => {}) {
    /** The incomplete line. */
    let line = "";
    /** The last piece ended with CR: a LF at the start of the next one ends no line. */
    let isAfterCr = false;
    /** The incomplete block. */
    let block = {};

    const grow = (piece) => {
      line += piece;
      if (line.length + (block.data?.length ?? 0) > EVENT_CHARS_MAX) {
        throw new RangeError("an event is too large");
      }
    };

    const take = () => {
      const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === "data") block.data = block.data?.concat("\n", value) ?? value;
      else if (field === "event") block.type = value;
      else if (field === "id") block.id = value.includes("\0") ? block.id : value;
      else if (field) other(field, value);
      else if (!line) {
        const complete = block;
        block = {};
        this.dispatch(complete);
      }
      line = "";
    };

    /** Takes the next piece. Throws a RangeError if a line or an event is too long. */
    this.push = (text) => {
      if (!text) return;
      if (isAfterCr && text[0] === "\n") text = text.slice(1);
      isAfterCr = text.endsWith("\r");
      const [first, ...others] = text.split(/\r\n?|\n/);
      grow(first);
      for (const start of others) {
        take();
        grow(start);
      }
    };
  }
}
