// One stream, and the pages that share it.

import { NARROW_MS, PAGE_EVENTS, WIDEN_MS } from "./limits.js";
import { bearerOf } from "./bearer.js";
import { messageOf, parsed, positionIn } from "./messages.js";
import { RESET, Stream } from "./stream.js";
import { setOf, union } from "./topics.js";

/** Values that must be equal for connections to share a feed. */
export function keyOf({ url, topics, withCredentials, session, token, multiplex }) {
  const wanted = multiplex ? null : setOf(topics);
  return JSON.stringify([url, wanted, withCredentials, session, bearerOf(token)]);
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
  admit(member, isFirst) {
    const { wish } = member;
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
    if (this.#isOpen) member.opened();
    const { cursor } = this.#stream;
    const start = startOf(wish);
    if (start && start.after !== cursor) this.#catchUp(member, start);
    else if (cursor) member.moved(cursor);
  }

  /** Removes a page. The last one ends the feed. */
  part(member) {
    this.#members.delete(member);
    if (this.#members.size === 0) {
      clearTimeout(this.#narrowing);
      this.#stream.close();
      this.#gone();
    } else if (this.#wish.multiplex) {
      clearTimeout(this.#narrowing);
      this.#narrowing = setTimeout(() => this.#regroup(), NARROW_MS);
    }
  }

  /**
   * Handles a page's answer when it was asked for another token; returns whether it is used. A page
   * without one is closed, if the hub has refused the one in use.
   */
  retoken(member, token) {
    const isOther = Boolean(token) && token !== this.#stream.token;
    if (this.#refusal && !isOther) {
      member.tell("closed", this.#refusal);
      this.part(member);
    }
    // The first answer is used.
    if (!isOther || !(this.#refusal || this.#isRenewing)) return false;
    this.#refusal = undefined;
    this.#isRenewing = false;
    this.#stream.retoken(token);
    return true;
  }

  #begin(wish) {
    this.#stream = new Stream(wish, (what, detail) => this.#hear(what, detail));
  }

  /** Whether the stream brings exactly these topics to a page that has all of its history. */
  #has(topics) {
    const set = setOf(topics);
    return [...this.#members].some(({ wish, held }) => !held && setOf(wish.topics) === set);
  }

  /**
   * Adds a page with other topics: the stream begins again with all that is wanted, after the event
   * it had come to, and the page gets what it has not had of these.
   */
  async #widen(member) {
    member.held = [];
    await this.#stream.placed;
    await this.#regroup();
    if (!this.#members.has(member)) return;
    if (this.#isOpen) member.opened();
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
    let isReset = false;
    try {
      for (let more = true; more && this.#members.has(member);) {
        member.isOverfull = false;
        const page = await this.#history(member.wish.topics, start);
        if (page.reset) {
          isReset = true;
          member.tell("reset", page.reset);
        }
        for (const message of page.messages) member.send(message);
        member.position = positionIn(page.next);
        start = { after: page.next };
        more = page.messages.length === PAGE_EVENTS || member.isOverfull;
      }
      if (after && !isReset) member.tell("resumed");
    } catch (error) {
      if (!this.#members.has(member)) return;
      member.tell("reset", { reason: "unread", requested: after, error: String(error) });
    }
    const { held } = member;
    member.held = undefined;
    if (!this.#members.has(member)) return;
    if (this.#isOpen) member.opened();
    for (const message of held) member.send(message);
  }

  /** One page of history. */
  async #history(topics, start) {
    const answer = await this.#stream.history(topics, { ...start, limit: PAGE_EVENTS });
    if (!answer.ok) throw new Error(`history: ${answer.status}`);
    const { events, reset, next } = await answer.json();
    const { origin } = new URL(this.#wish.url);
    return { messages: events.map((event) => messageOf(event, origin)), reset, next };
  }

  #hear(what, detail) {
    switch (what) {
      case "open":
        // Without the hub's header, the beginning of the stream shows it: it is a reset, or not.
        // Of a stream that began again for its topics or its token, pages hear nothing.
        this.#resuming = Boolean(this.#stream.cursor) && detail !== "live" && !this.#isOpen;
        this.#isOpen = true;
        for (const member of this.#members) {
          if (!member.held) member.opened();
        }
        if (detail === "resumed") this.#resumed();
        break;
      case "id":
        this.#resumed();
        for (const member of this.#members) {
          if (!member.held) member.moved(detail);
        }
        break;
      case "event":
        this.#event(detail);
        break;
      case "error":
        this.#down(detail);
        break;
      case "token":
        this.#down({ reason: "token refused", status: 401 });
        this.#refusal = { reason: "refused", status: 401, problem: detail };
        this.#all("token", this.#refusal);
        break;
      case "expiring":
        this.#isRenewing = true;
        this.#all("token", { left: detail });
        break;
      case "closed":
        this.#close(detail);
    }
  }

  #event(message) {
    if (message.type === RESET && message.topic === undefined) {
      this.#resuming = false;
      // Another log counts from its own beginning.
      for (const member of this.#members) member.position = NaN;
      this.#all("reset", parsed(message.data) ?? { reason: "unknown" });
      return;
    }
    this.#resumed();
    for (const member of this.#members) member.take(message);
  }

  /**
   * The stream is over for good. If the hub rejected what several pages want together, it may be
   * the topics of one: those that came last get a stream of their own, and the others go on.
   */
  #close(detail) {
    const members = [...this.#members];
    const latest = members.at(-1);
    const set = latest && setOf(latest.wish.topics);
    const sharing = members.filter(({ wish }) => setOf(wish.topics) !== set);
    if (detail.reason !== "refused" || sharing.length === 0) {
      this.#all("closed", detail);
      for (const member of members) this.part(member);
      return;
    }
    const { cursor, token } = this.#stream;
    this.#stream.close();
    this.#begin({
      ...this.#wish,
      token,
      after: cursor,
      topics: union(sharing.map(({ wish }) => wish.topics)),
    });
    for (const member of members) {
      if (sharing.includes(member)) continue;
      this.#members.delete(member);
      const start = member.cursor ? { after: member.cursor } : {};
      this.#eject(member, { ...member.wish, ...start, token, multiplex: false });
    }
  }

  #resumed() {
    if (!this.#resuming) return;
    this.#resuming = false;
    this.#all("resumed");
  }

  #down(detail) {
    this.#isOpen = false;
    this.#resuming = false;
    for (const member of this.#members) member.isOpen = false;
    this.#all("error", detail);
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
