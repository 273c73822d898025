// One stream, and the pages that share it.

import { NARROW_MS, PAGE_EVENTS, WIDEN_MS } from "./limits.js";
import { bearerOf } from "./bearer.js";
import { messageOf, numberIn } from "./messages.js";
import { Stream } from "./stream.js";
import { setOf, union } from "./topics.js";

/** Values that must be equal for connections to share a feed. */
export function keyOf({ url, topics, withCredentials, session, token, multiplex, from }) {
  const wanted = multiplex ? null : setOf(topics);
  const isState = from === "state";
  return JSON.stringify([url, wanted, withCredentials, session, bearerOf(token), isState]);
}

/** One event stream, and the pages that get its events. */
export class Feed {
  #members = new Set();
  #wish;
  #gone;
  #eject;
  #stream;
  #isOpen = false;
  /** Whether the stream has just reconnected, and may yet begin with a reset. */
  #resuming = false;
  /** The rejection of the token, while the pages are asked for another. */
  #refusal;
  /** Whether the pages were asked for a token to replace the one that is about to expire. */
  #isRenewing = false;
  #widening;
  #narrowing;

  /**
   * `gone` is called when the feed has ended, and `eject` with a member for which the stream cannot
   * be shared, and what it then wants.
   */
  constructor(wish, { gone, eject }) {
    this.#wish = wish;
    this.#gone = gone;
    this.#eject = eject;
    this.#begin(wish);
  }

  get key() {
    return keyOf({ ...this.#wish, token: this.#stream.token });
  }

  /** Adds a page. For the first one the stream has begun as it wished. */
  admit(member) {
    const { wish } = member;
    const isFirst = this.#members.size === 0;
    const isServed = !wish.multiplex || this.#has(wish.topics);
    this.#members.add(member);
    if (isFirst) return;
    if (this.#refusal) {
      if (wish.token === this.#stream.token) member.tell("token", this.#refusal);
      else this.retoken(member, wish.token);
    }
    if (!isServed) {
      this.#widen(member);
      return;
    }
    if (this.#isOpen) member.tell("open");
    const { cursor } = this.#stream;
    const start = startOf(wish);
    if (start && start.after !== cursor) this.#catchUp(member, start);
    else if (cursor) member.moved(cursor);
  }

  /** Removes a page. The last one ends the feed. */
  part(member) {
    this.#members.delete(member);
    clearTimeout(this.#narrowing);
    if (this.#members.size === 0) {
      this.#stream.close();
      this.#gone();
    } else if (this.#wish.multiplex) {
      this.#narrowing = setTimeout(() => this.#regroup(), NARROW_MS);
    }
  }

  /**
   * Handles a page's answer when it was asked for another token. A page without one is closed, if
   * the hub has refused the one in use; else the first answer is used.
   */
  retoken(member, token) {
    const isOther = token && token !== this.#stream.token;
    if (isOther && (this.#refusal || this.#isRenewing)) {
      this.#refusal = undefined;
      this.#isRenewing = false;
      this.#stream.retoken(token);
    } else if (!isOther && this.#refusal) {
      member.tell("closed", this.#refusal);
      this.part(member);
    }
  }

  #begin(wish) {
    this.#stream = new Stream(wish, (what, detail) => this.#on[what](detail));
  }

  /** Pages that have all of their history. */
  get #current() {
    return [...this.#members].filter(({ held }) => !held);
  }

  /** Whether the stream brings exactly these topics to a page that has all of its history. */
  #has(topics) {
    return this.#current.some(({ wish }) => setOf(wish.topics) === setOf(topics));
  }

  /**
   * Adds a page with other topics: the stream begins again with all that is wanted, after the event
   * it had come to, and the page gets what it has not had of these.
   */
  async #widen(member) {
    member.held = [];
    await this.#stream.placed;
    await this.#regroup();
    if (this.#isOpen) member.tell("open");
    // From where a page begins that wants no history: the stream may begin somewhat earlier.
    await this.#catchUp(member, startOf(member.wish) ?? { from: "now" });
  }

  /** Reads the topics that the pages want now; resolves once the stream does. */
  #regroup() {
    this.#widening ??= new Promise((resolve) => setTimeout(resolve, WIDEN_MS)).then(() => {
      this.#widening = undefined;
      const topics = union([...this.#members].map(({ wish }) => wish.topics));
      if (this.#members.size && setOf(topics) !== setOf(this.#stream.topics)) {
        this.#stream.restart(topics);
      }
    });
    return this.#widening;
  }

  /**
   * Sends history to a page that joined later, and then the live events that came meanwhile. Both
   * are in the log's order, but either may be ahead of the other: a member gets no event that is
   * not later than those it has.
   */
  async #catchUp(member, start) {
    member.held ??= [];
    const { after } = start;
    let isResumed = after;
    try {
      for (let more = true; more && this.#members.has(member); ) {
        member.isOverfull = false;
        const { events, reset, next, complete } = await this.#history(member.wish.topics, start);
        if (reset) {
          isResumed = false;
          member.tell("reset", reset);
        }
        for (const event of events) member.send(messageOf(event));
        member.number = numberIn(next);
        start = { after: next };
        more = member.isOverfull || !(complete ?? events.length < PAGE_EVENTS);
        // As the stream says it.
        if (complete) member.send({ is: "event", event: "tidings.state", id: next, cursor: next });
      }
      if (isResumed) member.tell("resumed");
    } catch (error) {
      member.tell("reset", { reason: "unread", requested: after, error: String(error) });
    }
    const { held } = member;
    member.held = undefined;
    if (this.#isOpen) member.tell("open");
    for (const message of held) member.send(message);
  }

  /** One page of history. */
  async #history(topics, start) {
    const answer = await this.#stream.history(topics, { ...start, limit: PAGE_EVENTS });
    if (!answer.ok) throw new Error(`history: ${answer.status}`);
    return answer.json();
  }

  /** What the stream reports. */
  #on = {
    open: (resume) => {
      // Without the hub's header, the beginning of the stream shows it: it is a reset, or not.
      // Of a stream that began again for its topics or its token, pages hear nothing.
      this.#resuming = this.#stream.cursor && resume !== "live" && !this.#isOpen;
      this.#isOpen = true;
      for (const member of this.#current) member.tell("open");
      if (resume === "resumed") this.#resumed();
    },
    id: (id) => {
      this.#resumed();
      for (const member of this.#current) member.moved(id);
    },
    event: (message) => {
      this.#resumed();
      for (const member of this.#members) member.take(message);
    },
    reset: (detail) => {
      this.#resuming = false;
      // Another log counts from its own beginning.
      for (const member of this.#members) member.number = NaN;
      this.#all("reset", detail);
    },
    error: (detail) => {
      this.#isOpen = this.#resuming = false;
      this.#all("error", detail);
    },
    token: (refusal) => {
      this.#on.error({ reason: "token refused", status: 401 });
      this.#refusal = refusal;
      this.#all("token", refusal);
    },
    expiring: (left) => {
      this.#isRenewing = true;
      this.#all("token", { left });
    },
    closed: (detail) => this.#close(detail),
  };

  /**
   * The stream is over for good. If the hub rejected what several pages want together, it may be
   * the topics of one: those that came last get a stream of their own, and the others go on.
   */
  #close(detail) {
    const members = [...this.#members];
    const set = setOf(members.at(-1).wish.topics);
    const sharing = members.filter(({ wish }) => setOf(wish.topics) !== set);
    if (detail.reason !== "refused" || sharing.length === 0) {
      this.#all("closed", detail);
      for (const member of members) this.part(member);
      return;
    }
    const { cursor, token } = this.#stream;
    const topics = union(sharing.map(({ wish }) => wish.topics));
    this.#stream.close();
    this.#begin({ ...this.#wish, token, after: cursor, topics });
    for (const member of members) {
      if (sharing.includes(member)) continue;
      this.#members.delete(member);
      const after = member.cursor ?? member.wish.after;
      this.#eject(member, { ...member.wish, after, token, multiplex: false });
    }
  }

  #resumed() {
    if (this.#resuming) this.#all("resumed");
    this.#resuming = false;
  }

  #all(is, detail) {
    for (const member of this.#members) member.tell(is, detail);
  }
}

/** Where in history a page wants to begin, as parameters; `undefined` if with what comes. */
function startOf({ after, last, from }) {
  if (after) return { after };
  if (last > 0) return { last };
  return from && from !== "now" ? { from } : undefined;
}
