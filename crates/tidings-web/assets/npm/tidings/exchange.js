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
  /** What sends each page on to another exchange. */
  const retirements = new Set();

  return (port) => {
    let member;
    let silence;

    const tell = (what, detail) => port.postMessage([what, detail]);

    /** Tabs share a feed whose token is now like theirs. */
    const join = (wish) => {
      let feed = [...feeds].find(({ key }) => key === keyOf(wish));
      if (!feed) {
        feed = newFeed(wish, () => feeds.delete(feed));
        feeds.add(feed);
      }
      const joined = newMember(feed, wish, join, (what, detail) => {
        // A page that has left, or joined again, gets no message of its old membership.
        if (member === joined) tell(what, detail);
      });
      member = joined;
      feed.admit(member);
    };

    const part = () => {
      const former = member;
      member = undefined;
      retirements.delete(retire);
      clearTimeout(silence);
      former?.feed.part(former);
    };

    const retire = () => {
      tell("retired");
      part();
    };

    /** A page that has fallen silent is gone. */
    const heard = () => {
      retirements.add(retire);
      clearTimeout(silence);
      silence = setTimeout(part, MEMBER_SILENCE_MS);
    };

    /** What pages order. */
    const orders = {
      join(wish) {
        part();
        heard();
        join(wish);
      },
      token: ({ token }) => member?.feed.retoken(member, token),
      ping: () => tell("pong", !!member),
      leave: part,
      // A page considered this exchange dead: all pages move on to the next, and this one ends.
      retire() {
        part();
        for (const retire of retirements) retire();
        over();
      },
    };

    port.onmessage = ({ data: [order, detail] }) => {
      heard();
      orders[order](detail);
    };
    heard();
  };
}
