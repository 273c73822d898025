// The shared side, which all pages use together.

import { MEMBER_SILENCE_MS } from "./limits.js";
import { newMember } from "./feed.js";
// Modules that these import, listed here so that they are fetched at once and not one by one.
import "./event_blocks.js";
import "./stream.js";
import "./topics.js";
import "./waits.js";

/** What sends each page on to another exchange. */
const retirements = new Set();

/** Admits the port of one connection. `over` is called when its page has ended the exchange. */
export function admit(port, over) {
  let member;
  let silence;

  const tell = (what, detail) => port.postMessage([what, detail]);

  const join = (wish) => {
    member?.feed.part(member);
    member = newMember(wish, join, tell);
  };

  const leave = () => {
    retirements.delete(retire);
    clearTimeout(silence);
    member?.feed.part(member);
    member = undefined;
  };

  const retire = () => {
    tell("retired");
    leave();
  };

  /** A page that has fallen silent is gone. */
  const heard = () => {
    retirements.add(retire);
    clearTimeout(silence);
    silence = setTimeout(leave, MEMBER_SILENCE_MS);
  };

  /** What pages order. */
  const orders = {
    join,
    token: ({ token }) => member?.feed.retoken(member, token),
    ping: () => tell("pong", !!member),
    leave,
    // A page considered this exchange dead: all pages move on to the next, and this one ends.
    retire() {
      leave();
      for (const retire of retirements) retire();
      over();
    },
  };

  port.onmessage = ({ data: [order, detail] }) => {
    heard();
    orders[order](detail);
  };
  heard();
}
