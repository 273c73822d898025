// The page's side: the object that `connect` returns.

import {
  CLOSED,
  CONNECTING,
  NAME,
  NAMES_MAX,
  OPEN,
  PATIENCE_MS,
  PATIENCE_MS_MIN,
  TOKEN_MS,
} from "./limits.js";
import { HOSTS, Silent } from "./hosts.js";
import { backoff, pause, within } from "./waits.js";

export class Connection extends EventTarget {
  /** Handlers, as an EventSource has them; `onevent` hears events of every type. */
  onevent = null;
  onmessage = null;
  onopen = null;
  onresumed = null;
  onreset = null;
  onerror = null;
  onclosed = null;
  #url;
  #options;
  /** Kinds of host not yet tried, the best first. */
  #kinds;
  /** Where the stream is read at present: `{ port, end }`. */
  #host;
  /** Part of the worker's name: a dead one must not be found again. */
  #generation = 1;
  /** The id to resume after. */
  #cursor;
  /** Time of the worker's last report. */
  #heard = 0;
  /** The host for which a token is being fetched. */
  #joining;
  #timer;
  #closing = new AbortController();

  constructor(url, options) {
    super();
    this.#url = url;
    this.#options = {
      topics: [],
      withCredentials: false,
      patience: PATIENCE_MS,
      multiplex: false,
      ...options,
    };
    const { worker, patience, token, after } = this.#options;
    const kinds = Object.keys(HOSTS);
    if (worker !== undefined && !kinds.includes(worker)) {
      throw new TypeError(`connect: worker is one of ${kinds.join(", ")}`);
    }
    if (!(patience >= PATIENCE_MS_MIN)) {
      throw new TypeError(`connect: patience is at least ${PATIENCE_MS_MIN} ms`);
    }
    if (typeof token !== "function") checkedToken(token);
    this.#kinds = kinds.slice(Math.max(0, kinds.indexOf(worker)));
    this.readyState = CONNECTING;
    this.#cursor = this.lastEventId = after ?? "";
    /** Where the stream is read: "shared", "dedicated" or "page". */
    this.host = undefined;
    for (const type of ["message", ...LIFE]) {
      this.addEventListener(type, (event) => this[`on${type}`]?.(event));
    }
    const { signal } = this.#closing;
    globalThis.addEventListener?.("pagehide", () => this.#leave(), { signal });
    // A page restored from the back/forward cache had left before.
    const back = (event) => event.persisted && this.#join();
    globalThis.addEventListener?.("pageshow", back, { signal });
    this.#start();
  }

  get url() {
    return this.#url;
  }

  /** Ends this connection; the shared stream ends with the last one that uses it. */
  close() {
    this.#end({ reason: "closed here" });
  }

  #leave() {
    this.#host?.port.postMessage({ do: "leave" });
  }

  async #start() {
    while (this.readyState !== CLOSED) {
      const kind = this.#kinds[0];
      const host = await this.#reach(kind);
      if (host) {
        this.host = kind;
        this.#use(host);
        return;
      }
      this.#kinds.shift();
    }
  }

  /** A host of this kind, or `undefined` where there can be none. */
  async #reach(kind) {
    let why;
    for (let names = 0; names < NAMES_MAX; names += 1) {
      try {
        return await HOSTS[kind](`${NAME}.${this.#generation}`);
      } catch (error) {
        why = error;
        if (!(error instanceof Silent)) break;
        this.#generation += 1;
      }
    }
    if (kind === "shared" && globalThis.document) warn(why);
    return undefined;
  }

  #use(host) {
    if (this.readyState === CLOSED) {
      host.port.close();
      return;
    }
    this.#host = host;
    this.#heard = Date.now();
    host.port.onmessage = ({ data }) => host === this.#host && this.#hear(data);
    this.#join();
    clearInterval(this.#timer);
    let ticked = Date.now();
    const every = this.#options.patience / 3;
    this.#timer = setInterval(() => {
      const now = Date.now();
      // A timer that was late shows that this page slept, not that the worker did.
      if (now - ticked > 2 * every) this.#heard = now;
      ticked = now;
      if (now - this.#heard > this.#options.patience) this.#revive();
      else host.port.postMessage({ do: "ping" });
    }, every);
  }

  async #join() {
    const host = this.#host;
    if (!host || this.#joining === host) return;
    this.#joining = host;
    const token = await this.#token();
    if (this.#joining === host) this.#joining = undefined;
    if (this.#host !== host || this.readyState === CLOSED) return;
    const { topics, withCredentials, session, multiplex, last, from } = this.#options;
    const after = this.#cursor;
    host.port.postMessage({
      do: "join",
      url: this.#url,
      topics: [topics].flat(),
      withCredentials,
      session,
      multiplex,
      token,
      ...(after ? { after } : { last, from }),
    });
  }

  /**
   * The page's token; `undefined` if it has none, or none in place of one that was rejected, or
   * expires when this many milliseconds are `left`. A function that fails, or does not settle, is
   * called again; unless the old token still serves, that is an error like a lost connection.
   */
  async #token({ isOther, left, problem } = {}) {
    const { token } = this.#options;
    if (typeof token !== "function") return isOther ? undefined : token;
    const expires = Date.now() + left;
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      try {
        return checkedToken(await within(TOKEN_MS, token(problem)));
      } catch (error) {
        if (this.readyState === CLOSED || Date.now() > expires) break;
        if (left === undefined) {
          this.readyState = CONNECTING;
          this.#tell("error", { reason: "no token", error: String(error) });
        }
      }
      await pause(backoff(1000, failures), this.#closing.signal);
    }
    return undefined;
  }

  /** The worker is dead or hangs: another one continues after the last event that arrived here. */
  #revive() {
    const { port, end } = this.#host;
    this.#host = undefined;
    clearInterval(this.#timer);
    // If it only hung, it ends when it reads this; its other pages follow us to the next one, so
    // that they all share a connection again.
    port.postMessage({ do: "retire" });
    port.close();
    end?.();
    this.#generation += 1;
    this.readyState = CONNECTING;
    this.#tell("error", { reason: "worker lost" });
    this.#start();
  }

  async #hear(message) {
    this.#heard = Date.now();
    switch (message.is) {
      case "pong":
        // It considered this page gone while it slept.
        if (!message.known) this.#join();
        break;
      case "open":
        this.readyState = OPEN;
        this.#tell("open");
        break;
      case "error":
        this.readyState = CONNECTING;
        this.#tell("error", message.detail);
        break;
      case "token": {
        const { port } = this.#host;
        const token = await this.#token({ isOther: true, ...message.detail });
        port.postMessage({ do: "token", token });
        break;
      }
      case "resumed":
        this.#tell("resumed", { lastEventId: this.lastEventId });
        break;
      case "reset":
        this.#tell("reset", message.detail);
        break;
      case "closed":
        this.#end(message.detail);
        break;
      case "retired":
        this.#revive();
        break;
      case "id":
        this.#cursor = this.lastEventId = message.lastEventId;
        break;
      case "event":
        this.#deliver(message);
    }
  }

  #deliver({ type, cursor, ...fields }) {
    if (cursor) this.#cursor = cursor;
    if (fields.lastEventId) this.lastEventId = fields.lastEventId;
    const event = new TopicEvent(type, fields);
    // No publisher can make a page believe that its connection is lost.
    if (!LIFE.includes(type)) this.dispatchEvent(event);
    this.onevent?.(event);
  }

  #end(detail) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    clearInterval(this.#timer);
    this.#closing.abort();
    this.#leave();
    this.#host?.port.close();
    this.#tell("closed", detail);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** An event of the hub, which knows its topic and when it was published. */
class TopicEvent extends MessageEvent {
  constructor(type, { topic, time, ...init }) {
    super(type, init);
    this.topic = topic;
    this.time = time === undefined ? undefined : new Date(time);
  }
}

/** Types of events about the connection itself. */
const LIFE = ["open", "resumed", "reset", "error", "closed"];

let warned = false;

/** Says once that this page's connections are not shared with other tabs. */
function warn({ message }) {
  if (!warned) console.warn(`tidings.js: tabs cannot share a connection here: ${message}`);
  warned = true;
}

/** The token, or an error that says what a token is: nothing else fits into a header. */
function checkedToken(token) {
  if (token !== undefined && token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("a token is printable ASCII without spaces");
  }
  return token ?? undefined;
}
