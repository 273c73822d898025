// One stream, and the pages that share it.

import { HELD_EVENTS_MAX, PAGE_EVENTS } from "./limits.js";
import { RESET, Stream, parsed } from "./stream.js";

/** Values that must be equal for connections to share a feed. */
export function keyOf({ url, topics, withCredentials, token }) {
  return JSON.stringify([url, [...topics].sort(), withCredentials, token ?? null]);
}

/** One event stream, and the pages that get its events. */
export class Feed {
  #members = new Set();
  #wish;
  #gone;
  #stream;
  #isOpen = false;
  /** Whether the stream has just reconnected, and may yet begin with a reset. */
  #resuming = false;
  /** The rejection of the token, while the pages are asked for another. */
  #refusal;

  /** `gone` is called when the feed has ended. */
  constructor(wish, gone) {
    this.#wish = wish;
    this.#gone = gone;
    this.#stream = new Stream(wish, (what, detail) => this.#hear(what, detail));
  }

  get key() {
    return keyOf({ ...this.#wish, token: this.#stream.token });
  }

  /** Adds a page; with its `wish` if the feed began without it. */
  admit(member, wish) {
    this.#members.add(member);
    if (!wish) return;
    if (this.#isOpen) member.port.postMessage({ is: "open" });
    if (this.#refusal) member.port.postMessage({ is: "token", detail: this.#refusal.problem });
    const lastEventId = this.#stream.lastId;
    if (wish.after ? wish.after !== lastEventId : wish.last > 0) this.#catchUp(member, wish);
    else if (lastEventId) member.port.postMessage({ is: "id", lastEventId });
  }

  /** Removes a page. The last one ends the feed. */
  part(member) {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#stream.close();
    this.#gone();
  }

  /**
   * Handles a page's answer when it was asked for another token; returns whether it is used. A page
   * without one is closed.
   */
  retoken(member, token) {
    if (!this.#refusal) return false;
    if (!token || token === this.#stream.token) {
      member.port.postMessage({ is: "closed", detail: this.#refusal });
      this.part(member);
      return false;
    }
    this.#refusal = undefined;
    this.#stream.retoken(token);
    return true;
  }

  /**
   * Sends history to a page that joined later, and then the live events that came meanwhile. Both
   * are in the log's order, but either may be ahead of the other: live events up to the last one in
   * history are not sent after it, and events in history are not sent again when they come live.
   */
  async #catchUp(member, wish) {
    member.held = [];
    member.sent = new Set();
    let start = wish.after ? { after: wish.after } : { last: wish.last };
    let isReset = false;
    try {
      for (let more = true; more && this.#members.has(member); ) {
        member.isOverfull = false;
        const page = await this.#history(start);
        if (page.reset) {
          isReset = true;
          member.port.postMessage({ is: "reset", detail: page.reset });
        }
        for (const message of page.messages) this.#send(member, message);
        for (const { lastEventId } of page.messages) remember(member.sent, lastEventId);
        const known = member.held.findLastIndex(({ lastEventId }) => member.sent.has(lastEventId));
        member.held.splice(0, known + 1);
        start = { after: page.next };
        more = page.messages.length === PAGE_EVENTS || member.isOverfull;
      }
      if (wish.after && !isReset) member.port.postMessage({ is: "resumed" });
    } catch (error) {
      member.port.postMessage({
        is: "reset",
        detail: { reason: "unread", requested: wish.after, error: String(error) },
      });
    }
    const { held } = member;
    member.held = undefined;
    if (!this.#members.has(member)) return;
    for (const message of held) this.#send(member, message);
    if (held.length > 0) member.sent = undefined;
  }

  /** One page of history. */
  async #history(start) {
    const { status, ok, body } = await this.#stream.history({ ...start, limit: PAGE_EVENTS });
    if (!ok) throw new Error(`history: ${status}`);
    const { origin } = new URL(this.#wish.url);
    const messages = body.events.map(({ id, event, data }) => {
      return { is: "event", type: event, data, lastEventId: id, origin };
    });
    return { messages, reset: body.reset, next: body.next };
  }

  #hear(what, detail) {
    switch (what) {
      case "open":
        this.#isOpen = true;
        this.#all({ is: "open" });
        // Without the hub's header, the beginning of the stream shows it: it is a reset, or not.
        this.#resuming = Boolean(this.#stream.lastId) && detail !== "live";
        if (detail === "resumed") this.#resumed();
        break;
      case "id":
        this.#resumed();
        for (const member of this.#members) {
          if (!member.held) member.port.postMessage({ is: "id", lastEventId: detail });
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
        this.#all({ is: "token", detail });
        break;
      case "closed":
        this.#all({ is: "closed", detail });
        for (const member of [...this.#members]) this.part(member);
    }
  }

  #event(message) {
    if (message.type === RESET) {
      this.#resuming = false;
      this.#all({ is: "reset", detail: parsed(message.data) ?? { reason: "unknown" } });
      return;
    }
    this.#resumed();
    for (const member of this.#members) {
      const { held } = member;
      if (!held) {
        if (member.sent?.has(message.lastEventId)) continue;
        member.sent = undefined;
        this.#send(member, message);
        continue;
      }
      // Events dropped here are in the history, which is then read to its end.
      member.isOverfull ||= held.length === HELD_EVENTS_MAX;
      if (held.length === HELD_EVENTS_MAX) held.length = 0;
      held.push(message);
    }
  }

  #send(member, message) {
    if (member.types.has(message.type)) member.port.postMessage(message);
  }

  #resumed() {
    if (!this.#resuming) return;
    this.#resuming = false;
    this.#all({ is: "resumed" });
  }

  #down(detail) {
    this.#isOpen = false;
    this.#resuming = false;
    this.#all({ is: "error", detail });
  }

  #all(message) {
    for (const member of this.#members) member.port.postMessage(message);
  }
}

/** Adds an id to those that history has sent; with too many, the oldest is forgotten. */
function remember(ids, id) {
  ids.add(id);
  if (ids.size > HELD_EVENTS_MAX) ids.delete(ids.values().next().value);
}
