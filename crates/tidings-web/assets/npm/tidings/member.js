// One connection of a page, as its feed sees it.

import { HELD_EVENTS_MAX } from "./limits.js";
import { wants } from "./topics.js";

export class Member {
  guest;
  feed;
  wish;
  /** Live events that wait until the page has its history; `undefined` if it has. */
  held;
  /** Whether more came than may be held; history is then read again from where it ended. */
  isOverfull = false;
  /** The latest event that was sent: its number, and the id to resume after. */
  number = NaN;
  cursor;

  constructor(guest, feed, wish) {
    this.guest = guest;
    this.feed = feed;
    this.wish = wish;
  }

  /** Sends the page a message. One that has left, or joined again, gets none of its old ones. */
  #post(message) {
    if (this.guest.member === this) this.guest.port.postMessage(message);
  }

  tell(is, detail) {
    this.#post({ is, detail });
  }

  /** The stream came to an id without an event. */
  moved(id) {
    this.cursor = id;
    this.#post({ is: "id", id });
  }

  /** A live event: sent, or held back while history is read. */
  take(message) {
    if (!wants(this.wish.topics, message)) return;
    if (!this.held) {
      this.send(message);
      return;
    }
    // Events dropped here are in the history, which is then read to its end.
    if (this.held.length === HELD_EVENTS_MAX) {
      this.isOverfull = true;
      this.held = [];
    }
    this.held.push(message);
  }

  /** Sends an event, unless the page has it or a later one: history and stream overlap. */
  send(message) {
    if (message.number <= this.number) return;
    this.number = message.number ?? this.number;
    this.cursor = message.cursor;
    this.#post(message);
  }
}
