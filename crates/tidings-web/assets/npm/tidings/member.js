// One connection of a page, as its feed sees it.

import { HELD_EVENTS_MAX } from "./limits.js";
import { setOf, wants } from "./topics.js";

/** A member of a feed: `join` lets it join another, and `tell` sends its page a message. */
export function newMember(feed, wish, join, tell) {
  const member = {
    feed,
    wish,
    /** Its topics, as a text that is the same for the same topics. */
    set: setOf(wish.topics),
    join,
    tell,
    /** Live events that wait until the page has its history; `undefined` if it has. */
    held: undefined,
    /** Whether more came than may be held; history is then read again from where it ended. */
    isOverfull: false,
    /** The latest event that was sent: its number, and the id to resume after. */
    number: NaN,
    cursor: undefined,

    /** The stream came to an id without an event. */
    moved(id) {
      member.cursor = id;
      tell("id", id);
    },

    /** A live event: sent, or held back while history is read. */
    take(event) {
      if (!wants(wish.topics, event)) return;
      if (!member.held) return member.send(event);
      // Events dropped here are in the history, which is then read to its end.
      if (member.held.length === HELD_EVENTS_MAX) {
        member.isOverfull = true;
        member.held = [];
      }
      member.held.push(event);
    },

    /** Sends an event, unless the page has it or a later one: history and stream overlap. */
    send(event) {
      if (event.number <= member.number) return;
      member.number = event.number ?? member.number;
      member.cursor = event.cursor;
      tell("event", event);
    },
  };
  return member;
}
