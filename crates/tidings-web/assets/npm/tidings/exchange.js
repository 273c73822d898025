// The shared side, which all pages use together.

import { MEMBER_SILENCE_MS } from "./limits.js";
import { newFeed, keyOf } from "./feed.js";
import { newMember } from "./member.js";
// Modules that these import, listed here so that they are fetched at once and not one by one.
import "./event_blocks.js";
import "./messages.js";
import "./stream.js";
import "./topics.js";
import "./waits.js";

/**
 * A new exchange, which is a function: it admits the port of one connection. `over` is called when
 * the exchange has ended.
 */
export function newExchange(over) {
  const feeds = new Set();
  /** What each port of a page stands for: `{ port, member, silence }`. */
  const guests = new Set();

  /** Tabs share a feed whose token is now like theirs. */
  const join = (guest, wish) => {
    let feed = [...feeds].find(({ key }) => key === keyOf(wish));
    if (!feed) {
      // A member that is ejected gets a feed of its own.
      const eject = (member, alone) => join(member.guest, alone);
      feed = newFeed(wish, () => feeds.delete(feed), eject);
      feeds.add(feed);
    }
    guest.member = newMember(guest, feed, wish);
    feed.admit(guest.member);
  };

  const part = (guest) => {
    const { member } = guest;
    guests.delete(guest);
    clearTimeout(guest.silence);
    guest.member = undefined;
    member?.feed.part(member);
  };

  /** A guest that has fallen silent is gone. */
  const heard = (guest) => {
    guests.add(guest);
    clearTimeout(guest.silence);
    guest.silence = setTimeout(part, MEMBER_SILENCE_MS, guest);
  };

  /** What pages order. */
  const orders = {
    join(guest, wish) {
      part(guest);
      heard(guest);
      join(guest, wish);
    },
    token: ({ member }, token) => member?.feed.retoken(member, token),
    ping: ({ port, member }) => port.postMessage(["pong", !!member]),
    leave: part,
    // A page considered this exchange dead: all pages move on to the next, and this one ends.
    retire(guest) {
      part(guest);
      for (const one of guests) {
        one.port.postMessage(["retired"]);
        part(one);
      }
      over();
    },
  };

  return (port) => {
    const guest = { port };
    heard(guest);
    port.onmessage = ({ data: [order, detail] }) => {
      heard(guest);
      orders[order](guest, detail);
    };
  };
}
