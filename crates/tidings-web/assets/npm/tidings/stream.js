// One event stream, read with fetch.

import { ANSWER_MS, PROBLEM_CHARS_MAX, RETRY_MS, RETRY_MS_MAX, RETRY_MS_MIN } from "./limits.js";
import { EventBlocks } from "./event_blocks.js";
import { isEnvelope, messageOf, parsed } from "./messages.js";
import { backoff, pause } from "./waits.js";

/** Types of a hub's own events. The first block is `tidings.open`: an id, even before a reset. */
const OPEN = "tidings.open";
const RESET = "tidings.reset";
const EXPIRING = "tidings.expiring";

/** Those of them whose data name the topic that they are about. */
const ABOUT_TOPIC = ["end", "tidings.removed"];

/** How an attempt ends that is made again. */
const LOST = { is: "error", detail: { reason: "connection lost" } };

/**
 * Reads one event stream, over as many connections as needed, and reports what happens: `open` with
 * the value of `Tidings-Resume`, `event`, `id`, `reset`, `error` (it will reconnect), `token` (the
 * token was rejected, it waits for `retoken`), `expiring` with the milliseconds in which `retoken`
 * may be called, and `closed` (for good). Of a `restart` it reports no more than `open`.
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
  /** The last id that the connection sent, which may be a publisher's own. */
  #lastId;
  /** The stream's last `retry`, in milliseconds, within its bounds. */
  #retry = RETRY_MS;
  #stop = new AbortController();
  #attempting;
  #isAgain;
  #retokened;
  /** What renews the running connection: `{ connection, handle }`, and when its token `expires`. */
  #expiring;

  constructor(wish, tell) {
    this.#wish = wish;
    this.#tell = tell;
    this.token = wish.token;
    this.topics = wish.topics;
    this.cursor = wish.after;
    this.placed = new Promise((resolve) => (this.#place = resolve));
    if (this.cursor) this.#place();
    this.#run();
  }

  close() {
    this.#tell = () => {};
    this.#stop.abort();
    this.#attempting.abort();
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
      const signal = AbortSignal.timeout(Math.min(wait, ANSWER_MS));
      const body = JSON.stringify({ handle });
      const path = `/connections/${connection}/token`;
      return (await this.#send(path, { signal, method: "PUT", body })).ok;
    } catch {
      return false;
    }
  }

  /** Continues with these topics. */
  restart(topics) {
    this.topics = topics;
    this.#isAgain = true;
    this.#attempting.abort();
  }

  /** A page of history as JSON. */
  history(topics, start) {
    return this.#events(topics, start, "application/json", this.#stop.signal);
  }

  async #run() {
    const { signal } = this.#stop;
    // Failures since the stream was last open, and rejections of tokens among them.
    let failures = 0;
    let refusals = 0;
    let isEnd = false;
    while (!signal.aborted) {
      this.#isAgain = false;
      const { is, detail, retryAfter = 0, wasOpen, isWhole } = await this.#attempt();
      if (signal.aborted) return;
      if (this.#isAgain) continue;
      if (wasOpen) failures = refusals = 0;
      else failures += 1;
      // With the end of the last topic the hub asks for a day of patience, for the sake of clients
      // that would reconnect for ever. It answers 204 at once as well; a server that does not is
      // given its day.
      isEnd = isWhole && this.#retry === RETRY_MS_MAX && !isEnd;
      if (isEnd) {
        this.#retry = RETRY_MS;
        continue;
      }
      this.#tell(is, detail);
      if (is === "closed") return;
      if (is === "token") {
        await new Promise((resolve) => (this.#retokened = resolve));
        this.#retokened = undefined;
        // A new token is tried at once; after several rejections in a row, more and more slowly.
        refusals += 1;
        if (refusals === 1) continue;
      }
      const wait = Math.max(backoff(this.#retry, failures), retryAfter);
      await pause(Math.min(wait * (1 + Math.random() / 4), RETRY_MS_MAX), signal);
    }
  }

  /** One connection, from the request to the end of its body, and how it ended. */
  async #attempt() {
    const attempt = (this.#attempting = new AbortController());
    const late = setTimeout(() => attempt.abort(), ANSWER_MS);
    try {
      const { last, from } = this.#wish;
      const start = this.cursor ? { after: this.cursor } : { last, from };
      const terms = { ...start, envelope: "json" };
      const answer = await this.#events(this.topics, terms, "text/event-stream", attempt.signal);
      if (!isStream(answer)) return await outcomeOf(answer);
      clearTimeout(late);
      this.#tell("open", answer.headers.get("tidings-resume"));
      return { wasOpen: true, ...(await this.#read(answer.body)) };
    } catch {
      return LOST;
    } finally {
      clearTimeout(late);
      attempt.abort();
      this.#expiring = undefined;
    }
  }

  /** Requests events: as a stream, or a page of them. */
  #events(topics, terms, accept, signal) {
    const { from, session } = this.#wish;
    const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
    // A request that continues a state names it again.
    const all = { ...terms, session, ...(from === "state" && { from }) };
    for (const [name, value] of Object.entries(all)) {
      if (value !== undefined) query.set(name, value);
    }
    return this.#send(`/events?${query}`, { headers: { accept }, signal });
  }

  #send(path, { headers, ...request }) {
    const { url, withCredentials } = this.#wish;
    const authorization = this.token && { authorization: `Bearer ${this.token}` };
    return fetch(url + path, {
      headers: { ...headers, ...authorization },
      credentials: withCredentials ? "include" : "same-origin",
      cache: "no-store",
      ...request,
    });
  }

  /** Reads events until the connection breaks, and returns how it broke. */
  async #read(body) {
    const blocks = new EventBlocks((field, value) => {
      if (field === "retry" && /^[0-9]+$/.test(value)) {
        this.#retry = Math.min(Math.max(value, RETRY_MS_MIN), RETRY_MS_MAX);
      }
    });
    this.#lastId = this.cursor;
    blocks.dispatch = (block) => this.#take(block);
    try {
      for await (const text of textOf(body)) blocks.push(text);
      return { ...LOST, isWhole: true };
    } catch (error) {
      // The stream would send the same event again.
      const isTooLarge = error instanceof RangeError;
      return isTooLarge ? { is: "closed", detail: { reason: "event too large" } } : LOST;
    }
  }

  #take({ type, data, id }) {
    if (id !== undefined) this.cursor = this.#lastId = id;
    if (data !== undefined) this.#event(type || "message", data);
    else if (id && type !== OPEN) this.#tell("id", id);
    if (this.cursor) this.#place();
  }

  /** An event in an envelope, or one of the hub's own, or of a server that knows no envelopes. */
  #event(type, data) {
    const inner = parsed(data);
    if (type === "message" && isEnvelope(inner)) {
      const message = messageOf(inner);
      this.cursor = message.cursor;
      this.#tell("event", message);
    } else if (type === RESET) {
      this.#tell("reset", inner ?? { reason: "unknown" });
    } else if (type === EXPIRING && inner?.handle && this.token) {
      // Without a handle it is a session, which the page itself renews.
      this.#expiring = { ...inner, expires: Date.now() + inner.in_ms };
      this.#tell("expiring", inner.in_ms);
    } else {
      const id = (this.cursor = this.#lastId);
      const topic = ABOUT_TOPIC.includes(type) ? inner?.topic : undefined;
      this.#tell("event", { is: "event", event: type, data, topic, id, cursor: id });
    }
  }
}

/** The text of a body, in pieces as they arrive. */
async function* textOf(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

function contentType({ headers }) {
  return headers.get("content-type") ?? "";
}

function isStream(answer) {
  return answer.status === 200 && /^\s*text\/event-stream\s*([;,]|$)/i.test(contentType(answer));
}

/** The consequence of a response that is not a stream: reconnect, with another token, or never. */
async function outcomeOf(answer) {
  const { status, url } = answer;
  if (status === 204) return { is: "closed", detail: { reason: "ended" } };
  if (status === 200) {
    // A server that answers with a page, such as a login page, would do so again.
    const detail = { reason: "not an event stream", status, contentType: contentType(answer) };
    // The final URL, if the request was redirected. The query may contain secrets.
    if (answer.redirected) detail.redirectedTo = url.split(/[?#]/)[0];
    return { is: "closed", detail };
  }
  // Any other status would be the same for the same request.
  if ([408, 425, 429].includes(status) || status >= 500) {
    return { is: "error", detail: { ...LOST.detail, status }, retryAfter: retryAfter(answer) };
  }
  const detail = { reason: "refused", status, problem: await problemOf(answer) };
  return { is: status === 401 ? "token" : "closed", detail };
}

/** The hub's problem details (RFC 9457), if the response has any. */
async function problemOf(answer) {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(contentType(answer))) return undefined;
  let text = "";
  for await (const piece of textOf(answer.body)) {
    text += piece;
    if (text.length > PROBLEM_CHARS_MAX) return undefined;
  }
  return parsed(text);
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfter({ headers }) {
  const text = headers.get("retry-after");
  const ms = /^[0-9]+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? Math.min(ms, RETRY_MS_MAX) : 0;
}
