// One stream, and the pages that share it.

import { HELD_EVENTS_MAX, NARROW_MS, PAGE_EVENTS, WIDEN_MS } from "./limits.js";
import { messageOf, newStream, numberIn } from "./stream.js";
import { bearerOf, setOf, union, wants } from "./topics.js";

const feeds = new Set();

/**
 * Lets a connection share the stream that it wishes for: a new member of a feed. `tell` sends its
 * page a message, and `join` lets it join another feed.
 */
export function newMember(wish, join, tell) {
  const member = {
    // Tabs share a feed whose token is now like theirs.
    feed: [...feeds].find(({ key }) => key === keyOf(wish)) ?? newFeed(wish),
    wish,
    /** Its topics, as a text that is the same for the same topics. */
    set: setOf(wish.topics),
    join,
    tell,
    // `held` are live events that wait until the page has its history, and `isOverfull` says that
    // more came than may be held: history is then read again from where it ended. `number` and
    // `cursor` are those of the latest event that was sent: the id to resume after, and its number.

    /** The stream came to an id without an event. */
    moved(id) {
      member.cursor = id;
      member.tell("id", id);
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
      member.tell("event", event);
    },
  };
  member.feed.admit(member);
  return member;
}

/** Values that must be equal for connections to share a feed. */
function keyOf({ url, topics, withCredentials, session, token, multiplex, from }) {
  return JSON.stringify([
    url,
    multiplex || setOf(topics),
    !!withCredentials,
    session,
    bearerOf(token),
    from === "state",
  ]);
}

/** One event stream, and the pages that get its events. */
function newFeed(wish) {
  const members = new Set();
  let stream;
  let isOpen = false;
  /** Whether the stream has just reconnected, and may yet begin with a reset. */
  let isResuming = false;
  /** Why pages were last asked for a token: a rejection, or the time `left` before it expires. */
  let asked;
  let widening;
  let narrowing;

  const all = (what, detail) => {
    for (const member of members) member.tell(what, detail);
  };

  /** Pages that have all of their history. */
  const current = () => [...members].filter(({ held }) => !held);

  const topicsOf = (some) => union(some.map((member) => member.wish.topics));

  /** What was not a reset continues where it broke off. */
  const resumed = () => {
    if (isResuming) all("resumed");
    isResuming = false;
  };

  /** What the stream reports. */
  const on = {
    open(resume) {
      // Without the hub's header, the beginning of the stream shows it: it is a reset, or not.
      // Of a stream that began again for its topics or its token, pages hear nothing.
      isResuming = stream.cursor && resume !== "live" && !isOpen;
      isOpen = true;
      for (const member of current()) member.tell("open");
      if (resume === "resumed") resumed();
    },
    id(id) {
      resumed();
      for (const member of current()) member.moved(id);
    },
    event(event) {
      resumed();
      for (const member of members) member.take(event);
    },
    reset(detail) {
      isResuming = false;
      // Another log counts from its own beginning.
      for (const member of members) member.number = NaN;
      all("reset", detail);
    },
    error(detail) {
      isOpen = isResuming = false;
      all("error", detail);
    },
    token(detail) {
      if (detail.reason) on.error({ reason: "token refused", status: 401 });
      asked = detail;
      all("token", detail);
    },
    /**
     * The stream is over for good. If the hub rejected what several pages want together, it may be
     * the topics of one: those that came last get a stream of their own, and the others go on.
     */
    closed(detail) {
      const everyone = [...members];
      const { set } = everyone.at(-1);
      const sharing = everyone.filter((member) => member.set !== set);
      if (detail.reason !== "refused" || !sharing.length) {
        all("closed", detail);
        everyone.forEach(feed.part);
        return;
      }
      const { cursor, token } = stream;
      stream.close();
      begin({ ...wish, token, after: cursor, topics: topicsOf(sharing) });
      for (const member of everyone) {
        if (member.set !== set) continue;
        const after = member.cursor ?? member.wish.after;
        member.join({ ...member.wish, after, token, multiplex: false });
      }
    },
  };

  const begin = (terms) => {
    stream = newStream(terms, (what, detail) => on[what](detail));
  };

  /** Reads the topics that the pages want now; resolves once the stream does. */
  const regroup = () =>
    (widening ??= new Promise((resolve) => setTimeout(resolve, WIDEN_MS)).then(() => {
      widening = undefined;
      const topics = topicsOf([...members]);
      if (members.size && setOf(topics) !== setOf(stream.topics)) stream.restart(topics);
    }));

  /**
   * Sends history to a page that joined later, and then the live events that came meanwhile. Both
   * are in the log's order, but either may be ahead of the other: a member gets no event that is
   * not later than those it has. For a page with other topics than those that are read, the stream
   * begins again with all that is wanted, after the event it had come to.
   */
  const catchUp = async (member, start, isServed) => {
    const { after } = start;
    let isResumed = after;
    let isMore = true;
    member.held = [];
    if (!isServed) {
      await stream.placed;
      await regroup();
    }
    try {
      while (isMore && members.has(member)) {
        member.isOverfull = false;
        const terms = { ...start, limit: PAGE_EVENTS };
        const answer = await stream.events(member.wish.topics, terms);
        if (!answer.ok) throw new Error(`history: ${answer.status}`);
        const { events, reset, next, complete } = await answer.json();
        if (reset) {
          isResumed = false;
          member.tell("reset", reset);
        }
        for (const event of events) member.send(messageOf(event));
        member.number = numberIn(next);
        start = { after: next };
        isMore = member.isOverfull || !(complete ?? events.length < PAGE_EVENTS);
        // As the stream says it.
        if (complete) member.send({ event: "tidings.state", id: next, cursor: next });
      }
      if (isResumed) member.tell("resumed");
    } catch (error) {
      member.tell("reset", { reason: "unread", requested: after, error: `${error}` });
    }
    if (isOpen) member.tell("open");
    member.held.forEach(member.send);
    member.held = undefined;
  };

  const feed = {
    get key() {
      return keyOf({ ...wish, token: stream.token });
    },

    /** Adds a page. For the first one the stream has begun as it wished. */
    admit(member) {
      const { multiplex, token } = member.wish;
      const isServed = !multiplex || current().some(({ set }) => set === member.set);
      members.add(member);
      if (members.size === 1) return;
      if (asked?.reason) {
        if (token === stream.token) member.tell("token", asked);
        else feed.retoken(member, token);
      }
      const { cursor } = stream;
      const start = startOf(member.wish);
      if (isServed && isOpen) member.tell("open");
      // Where a page begins that wants no history: the stream may begin somewhat earlier.
      if (!isServed || (start.from !== "now" && start.after !== cursor)) {
        catchUp(member, start, isServed);
      } else if (cursor) {
        member.moved(cursor);
      }
    },

    /** Removes a page. The last one ends the feed. */
    part(member) {
      members.delete(member);
      // A page that has left, or joined again, gets no message of its old membership.
      member.tell = () => {};
      clearTimeout(narrowing);
      if (!members.size) {
        stream.close();
        feeds.delete(feed);
      } else if (wish.multiplex) {
        narrowing = setTimeout(regroup, NARROW_MS);
      }
    },

    /**
     * Handles a page's answer when it was asked for another token. A page without one is closed, if
     * the hub has refused the one in use; else the first answer is used.
     */
    retoken(member, token) {
      if (!asked) return;
      if (token && token !== stream.token) {
        asked = undefined;
        stream.retoken(token);
      } else if (asked.reason) {
        member.tell("closed", asked);
        feed.part(member);
      }
    },
  };

  begin(wish);
  feeds.add(feed);
  return feed;
}

/** Where in history a page wants to begin, as parameters; `now` if with what comes. */
function startOf({ after, last, from }) {
  if (after) return { after };
  return last > 0 ? { last } : { from: from || "now" };
}
