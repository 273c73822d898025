// One connection of a page, as its feed sees it.

import { HELD_EVENTS_MAX } from "./limits.js";
import { wants } from "./topics.js";

export class Member {
  port;
  feed;
  wish;
  /** Whether the page knows that the stream is open. */
  isOpen = false;
  /** Live events that wait until the page has its history; `undefined` if it has. */
  held;
  /** Whether more came than may be held; history is then read again from where it ended. */
  isOverfull = false;
  /** The latest event that was sent: its number, and the id to resume after. */
  position = NaN;
  cursor;

  constructor(port, feed, wish) {
    this.port = port;
    this.feed = feed;
    this.wish = wish;
  }

  tell(is, detail) {
    this.port.postMessage({ is, detail });
  }

  /** Tells the page, once, that the stream is open. */
  opened() {
    if (!this.isOpen) this.tell("open");
    this.isOpen = true;
  }

  /** The stream came to an id without an event. */
  moved(id) {
    this.cursor = id;
    this.port.postMessage({ is: "id", lastEventId: id });
  }

  /** A live event: sent, or held back while history is read. */
  take(message) {
    if (!wants(this.wish.topics, message)) return;
    if (!this.held) {
      this.send(message);
      return;
    }
    // Events dropped here are in the history, which is then read to its end.
    this.isOverfull ||= this.held.length === HELD_EVENTS_MAX;
    if (this.held.length === HELD_EVENTS_MAX) this.held.length = 0;
    this.held.push(message);
  }

  /** Sends an event, unless the page has it or a later one: history and stream overlap. */
  send(message) {
    if (message.position <= this.position) return;
    this.position = message.position;
    this.cursor = message.cursor;
    this.port.postMessage(message);
  }
}
