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
  #feeds = new Map();
  /** A port for each connection of a page: `{ port, heard, member }`. */
  #guests = new Set();
  #over;
  #sweeper;

  /** `over` is called when the exchange has ended. */
  constructor(over) {
    this.#over = over;
  }

  /** Handles messages from the port of one connection. */
  admit(port) {
    const guest = { port, heard: Date.now(), member: undefined };
    this.#add(guest);
    port.onmessage = ({ data }) => {
      guest.heard = Date.now();
      this.#add(guest);
      const { member } = guest;
      switch (data.do) {
        case "join":
          this.#part(guest);
          this.#add(guest);
          this.#join(guest, data);
          break;
        case "token":
          if (member?.feed.retoken(member, data.token)) this.#rekey(member.feed);
          break;
        case "ping":
          port.postMessage({ is: "pong", known: Boolean(member) });
          break;
        case "leave":
          this.#part(guest);
          break;
        case "retire":
          this.#part(guest);
          this.#retire();
      }
    };
  }

  /** Adds a guest. While there are some, those that have fallen silent are looked for. */
  #add(guest) {
    this.#guests.add(guest);
    this.#sweeper ??= setInterval(() => {
      for (const one of this.#guests) {
        if (Date.now() - one.heard > MEMBER_SILENCE_MS) this.#part(one);
      }
    }, MEMBER_SILENCE_MS / 4);
  }

  #join(guest, wish) {
    let feed = this.#feeds.get(keyOf(wish));
    const isNew = !feed;
    if (isNew) {
      feed = new Feed(wish, {
        gone: () => this.#remove(feed),
        eject: (member, alone) => this.#eject(member, alone),
      });
      this.#feeds.set(feed.key, feed);
    }
    guest.member = new Member(guest.port, feed, wish);
    feed.admit(guest.member, isNew);
  }

  /** Moves a member to a feed of its own. */
  #eject(member, wish) {
    for (const guest of this.#guests) {
      if (guest.member === member) this.#join(guest, wish);
    }
  }

  /** Tabs whose tokens are like the feed's new one share it; those with the old one do not. */
  #rekey(feed) {
    this.#remove(feed);
    if (!this.#feeds.has(feed.key)) this.#feeds.set(feed.key, feed);
  }

  #remove(feed) {
    for (const [key, other] of this.#feeds) if (other === feed) this.#feeds.delete(key);
  }

  #part(guest) {
    this.#guests.delete(guest);
    guest.member?.feed.part(guest.member);
    guest.member = undefined;
    if (this.#guests.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  /** A page considered this exchange dead: all pages move on to the next, and this one ends. */
  #retire() {
    for (const guest of [...this.#guests]) {
      guest.port.postMessage({ is: "retired" });
      this.#part(guest);
    }
    this.#over();
  }
}
