// One event stream, read with fetch.

import { ANSWER_MS, PROBLEM_BYTES_MAX, RETRY_MS, RETRY_MS_MAX, RETRY_MS_MIN } from "./limits.js";
import { EventBlocks } from "./event_blocks.js";
import { envelopeIn, messageOf, parsed } from "./messages.js";
import { backoff, pause } from "./waits.js";

/** Type of the event with which a hub announces that events may be missing. */
export const RESET = "tidings.reset";

/** Type of a hub's first block. It has an id even where a reset comes next. */
const OPEN = "tidings.open";

/** Type of the event with which a hub says that the stream's token is about to expire. */
const EXPIRING = "tidings.expiring";

/** Type of the event with which a hub ends a topic. */
const END = "end";

/**
 * Reads one event stream, over as many connections as needed, and reports what happens: `open` with
 * the value of `Tidings-Resume`, `event`, `id`, `error` (it will reconnect), `token` (the token was
 * rejected, it waits for `retoken`), `expiring` with the milliseconds in which `retoken` may be
 * called, and `closed` (for good). Of a `restart` it reports no more than `open`.
 */
export class Stream {
  token;
  topics;
  /** The id to resume after: the hub's own where it is known. */
  cursor;
  /** Resolves when there is a cursor. */
  placed;
  #place;
  #wish;
  #tell;
  /** The stream's last `retry`, in milliseconds, within its bounds. */
  #retry = RETRY_MS;
  #stop = new AbortController();
  #attempting;
  #isAgain = false;
  #retokened;
  /** What renews the running connection: `{ connection, handle }`, and when its token `expires`. */
  #expiring;

  constructor(wish, tell) {
    this.#wish = wish;
    this.#tell = tell;
    this.token = wish.token;
    this.topics = wish.topics;
    this.cursor = wish.after ?? "";
    this.placed = new Promise((resolve) => (this.#place = resolve));
    if (this.cursor) this.#place();
    this.#run();
  }

  close() {
    this.#tell = () => {};
    this.#stop.abort();
    this.#attempting?.abort();
    this.#retokened?.();
    this.#place();
  }

  /** Continues with this token: on the running connection if the hub accepts it there. */
  async retoken(token) {
    this.token = token;
    if (this.#retokened) return this.#retokened();
    const attempt = this.#attempting;
    const isRenewed = this.#expiring && (await this.#renew(this.#expiring));
    if (!isRenewed && attempt === this.#attempting) this.restart(this.topics);
  }

  /** Sends the hub the token for the running connection. */
  async #renew({ connection, handle, expires }) {
    try {
      // Where streams are all the connections that a browser allows, the request waits until one
      // of them ends: the first to give up begins again, and lets the requests of the others pass.
      const wait = (expires - Date.now()) * (0.5 + Math.random() / 3);
      const late = AbortSignal.timeout(Math.min(wait, ANSWER_MS));
      const body = JSON.stringify({ handle });
      const path = `/connections/${connection}/token`;
      return (await this.#send(path, {}, late, { method: "PUT", body })).ok;
    } catch {
      return false;
    }
  }

  /** Continues with these topics. */
  restart(topics) {
    this.topics = topics;
    this.#isAgain = true;
    this.#attempting?.abort();
  }

  /** A page of history as JSON. */
  history(topics, start) {
    return this.#fetch("application/json", topics, start, this.#stop.signal);
  }

  async #run() {
    // Failures since the stream was last open, and rejections of tokens among them.
    let failures = 0;
    let refusals = 0;
    let wasEnd = false;
    while (!this.#stop.signal.aborted) {
      this.#isAgain = false;
      const outcome = await this.#attempt();
      if (this.#stop.signal.aborted) return;
      if (this.#isAgain) continue;
      if (outcome.closed) return this.#tell("closed", outcome.closed);
      if (outcome.wasOpen) failures = refusals = 0;
      else failures += 1;
      // With the end of the last topic the hub asks for a day of patience, for the sake of clients
      // that would reconnect for ever. It answers 204 at once as well; a server that does not is
      // given its day.
      const isEnd = outcome.isWhole && this.#retry === RETRY_MS_MAX && !wasEnd;
      wasEnd = isEnd;
      if (isEnd) {
        this.#retry = RETRY_MS;
        continue;
      }
      if (outcome.refused) {
        refusals += 1;
        this.#tell("token", outcome.refused.problem);
        await new Promise((resolve) => (this.#retokened = resolve));
        this.#retokened = undefined;
        // A new token is tried at once; after several rejections in a row, more and more slowly.
        if (refusals === 1) continue;
      } else {
        this.#tell("error", outcome.lost);
      }
      const wait = Math.max(backoff(this.#retry, failures), outcome.retryAfter ?? 0);
      await pause(Math.min(wait * (1 + Math.random() / 4), RETRY_MS_MAX), this.#stop.signal);
    }
  }

  /** One connection, from the request to the end of its body, and its outcome. */
  async #attempt() {
    const attempt = (this.#attempting = new AbortController());
    const late = setTimeout(() => attempt.abort(), ANSWER_MS);
    try {
      const { last, from } = this.#wish;
      const start = this.cursor ? { after: this.cursor } : { last, from };
      const terms = { ...start, envelope: "json" };
      const answer = await this.#fetch("text/event-stream", this.topics, terms, attempt.signal);
      const { status } = answer;
      if (status === 204) return { closed: { reason: "ended" } };
      if (status !== 200) return await refused(answer);
      if (!isEventStream(answer)) return { closed: otherAnswer(answer) };
      clearTimeout(late);
      this.#tell("open", answer.headers.get("tidings-resume"));
      return { wasOpen: true, ...(await this.#read(answer.body)) };
    } catch {
      return { lost: { reason: "connection lost" } };
    } finally {
      clearTimeout(late);
      attempt.abort();
      this.#expiring = undefined;
    }
  }

  #fetch(accept, topics, terms, signal) {
    const { session } = this.#wish;
    const query = new URLSearchParams();
    for (const topic of topics) query.append("topic", topic);
    for (const [name, value] of Object.entries({ ...terms, session })) {
      if (value !== undefined) query.set(name, value);
    }
    const text = query.toString();
    return this.#send(`/events${text && `?${text}`}`, { accept }, signal);
  }

  #send(path, headers, signal, more) {
    const { url, withCredentials } = this.#wish;
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    return fetch(url + path, {
      headers,
      credentials: withCredentials ? "include" : "same-origin",
      cache: "no-store",
      signal,
      ...more,
    });
  }

  /** Reads events until the connection breaks, and returns how it broke. */
  async #read(body) {
    const { origin } = new URL(this.#wish.url);
    const blocks = new EventBlocks((field, value) => {
      if (field !== "retry" || !/^[0-9]+$/.test(value)) return;
      this.#retry = Math.min(Math.max(Number(value), RETRY_MS_MIN), RETRY_MS_MAX);
    });
    let lastId = this.cursor;
    blocks.dispatch = ({ type, data, id }) => {
      if (id !== undefined) this.cursor = lastId = id;
      if (data !== undefined) {
        // The hub's own events have no envelope, nor has any event of a server that knows none.
        const isBare = type && type !== "message";
        const { connection, handle, in_ms: left } = (type === EXPIRING && parsed(data)) || {};
        // Without a handle it is a session, which the page itself renews.
        if (handle && this.token) {
          this.#expiring = { connection, handle, expires: Date.now() + left };
          return this.#tell("expiring", left);
        }
        const inner = isBare ? undefined : envelopeIn(data);
        const message = inner ? messageOf(inner, origin) : bare(type, data, lastId, origin);
        this.cursor = message.cursor;
        this.#tell("event", message);
      } else if (id && type !== OPEN) {
        this.#tell("id", id);
      }
      if (this.cursor) this.#place();
    };
    const decoder = new TextDecoder();
    const reader = body.getReader();
    let isWhole = false;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        isWhole = done;
        if (done) break;
        blocks.push(decoder.decode(value, { stream: true }));
      }
    } catch (error) {
      // The stream would send the same event again.
      if (error instanceof RangeError) return { closed: { reason: "event too large" } };
    }
    return { lost: { reason: "connection lost" }, isWhole };
  }
}

/** The consequence of a response that is not a stream: reconnect, with another token, or never. */
async function refused(answer) {
  const { status } = answer;
  // Any other status would be the same for the same request.
  if ([408, 425, 429].includes(status) || status >= 500) {
    return { lost: { reason: "connection lost", status }, retryAfter: retryAfter(answer) };
  }
  const problem = await problemOf(answer);
  if (status === 401) return { refused: { problem } };
  return { closed: { reason: "refused", status, problem } };
}

/** A server that answers with a page, such as a login page, would do so again. */
function otherAnswer(answer) {
  const { status, url } = answer;
  return {
    reason: "not an event stream",
    status,
    contentType: answer.headers.get("content-type") ?? "",
    // The final URL, if the request was redirected. The query may contain secrets.
    ...(answer.redirected && { redirectedTo: url.split(/[?#]/)[0] }),
  };
}

function isEventStream(answer) {
  return /^\s*text\/event-stream\s*([;,]|$)/i.test(answer.headers.get("content-type") ?? "");
}

/** The hub's problem details (RFC 9457), if the response has any. */
async function problemOf(answer) {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(answer.headers.get("content-type") ?? "")) return;
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let text = "";
  for (let bytes = 0; bytes <= PROBLEM_BYTES_MAX;) {
    const { done, value } = await reader.read();
    if (done) return parsed(text);
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfter(answer) {
  const text = answer.headers.get("retry-after") ?? "";
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? Math.min(ms, RETRY_MS_MAX) : 0;
}

/** An event without an envelope. Only the hub's own `end` says which topic it is of. */
function bare(type, data, id, origin) {
  const named = type === END ? parsed(data)?.topic : undefined;
  const topic = typeof named === "string" ? named : undefined;
  const message = { is: "event", type: type || "message", data, topic };
  return { ...message, lastEventId: id, cursor: id, origin };
}
