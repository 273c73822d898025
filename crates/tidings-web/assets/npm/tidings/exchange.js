// The shared side, which all pages use together.

import { MEMBER_SILENCE_MS } from "./limits.js";
import { Feed, keyOf } from "./feed.js";
import { Member } from "./member.js";
// Modules that these import, listed here so that they are fetched at once and not one by one.
import "./bearer.js";
import "./event_blocks.js";
import "./messages.js";
import "./stream.js";
import "./topics.js";
import "./waits.js";

export class Exchange {
  #feeds = new Set();
  /** What each port of a page stands for: `{ port, member, silence }`. */
  #guests = new Set();
  #over;

  /** `over` is called when the exchange has ended. */
  constructor(over) {
    this.#over = over;
  }

  /** Handles messages from the port of one connection. */
  admit(port) {
    const guest = { port };
    this.#heard(guest);
    port.onmessage = ({ data }) => {
      this.#heard(guest);
      this.#orders[data.do](guest, data);
    };
  }

  /** What pages order. */
  #orders = {
    join: (guest, wish) => {
      this.#part(guest);
      this.#heard(guest);
      this.#join(guest, wish);
    },
    token: ({ member }, { token }) => member?.feed.retoken(member, token),
    ping: ({ port, member }) => port.postMessage({ is: "pong", known: Boolean(member) }),
    leave: (guest) => this.#part(guest),
    // A page considered this exchange dead: all pages move on to the next, and this one ends.
    retire: (guest) => {
      this.#part(guest);
      for (const one of this.#guests) {
        one.port.postMessage({ is: "retired" });
        this.#part(one);
      }
      this.#over();
    },
  };

  /** A guest that has fallen silent is gone. */
  #heard(guest) {
    this.#guests.add(guest);
    clearTimeout(guest.silence);
    guest.silence = setTimeout(() => this.#part(guest), MEMBER_SILENCE_MS);
  }

  /** Tabs share a feed whose token is now like theirs. */
  #join(guest, wish) {
    const key = keyOf(wish);
    let feed = [...this.#feeds].find((one) => one.key === key);
    if (!feed) {
      feed = new Feed(wish, {
        gone: () => this.#feeds.delete(feed),
        // This member gets a feed of its own.
        eject: (member, alone) => this.#join(member.guest, alone),
      });
      this.#feeds.add(feed);
    }
    guest.member = new Member(guest, feed, wish);
    feed.admit(guest.member);
  }

  #part(guest) {
    const { member } = guest;
    this.#guests.delete(guest);
    clearTimeout(guest.silence);
    guest.member = undefined;
    member?.feed.part(member);
  }
}
