// The page's side: the object that `connect` returns.

import {
  CLOSED,
  CONNECTING,
  NAMES_MAX,
  OPEN,
  PATIENCE_MS,
  PATIENCE_MS_MIN,
  TOKEN_MS,
} from "./limits.js";
import { HOSTS, NAME } from "./hosts.js";
import { backoff, Late, pause, within } from "./waits.js";

/** Types of events about the connection itself. */
const LIFE = ["open", "resumed", "reset", "error", "closed"];

/** The `readyState` after those of them that change it. */
const AFTER = { open: OPEN, error: CONNECTING, closed: CLOSED };

export class Connection extends EventTarget {
  readyState = CONNECTING;
  /** Where the stream is read: "shared", "dedicated" or "page". */
  host = undefined;
  /** Is called with events of every type. */
  onevent = null;
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
  #heard;
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
    this.#cursor = this.lastEventId = after ?? "";
    // Handlers, as an EventSource has them.
    for (const type of ["message", ...LIFE]) {
      this[`on${type}`] = null;
      this.addEventListener(type, (event) => this[`on${type}`]?.(event));
    }
    const { signal } = this.#closing;
    globalThis.addEventListener?.("pagehide", () => this.#send("leave"), { signal });
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
    this.#tell("closed", { reason: "closed here" });
  }

  #send(order, fields) {
    this.#host?.port.postMessage({ do: order, ...fields });
  }

  /** Reaches a host of the best kind that works here; one that is silent under another name. */
  async #start() {
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      const kind = this.#kinds[0];
      try {
        const host = await HOSTS[kind](`${NAME}.${this.#generation}`);
        this.host = kind;
        return this.#use(host);
      } catch (error) {
        const isSilent = error instanceof Late;
        if (isSilent) this.#generation += 1;
        if (isSilent && failures < NAMES_MAX) continue;
        if (kind === "shared" && globalThis.document) warn(error);
        if (this.#kinds.length > 1) {
          this.#kinds.shift();
          failures = 0;
        } else {
          this.#tell("error", { reason: "worker lost" });
          await pause(backoff(1000, failures), this.#closing.signal);
        }
      }
    }
  }

  #use(host) {
    const { port } = host;
    if (this.readyState === CLOSED) return port.close();
    this.#host = host;
    this.#heard = Date.now();
    port.onmessage = ({ data }) => {
      if (host !== this.#host) return;
      this.#heard = Date.now();
      const { is, detail } = data;
      if (this.#on[is]) this.#on[is](data);
      else this.#tell(is, detail);
    };
    this.#join();
    let ticked = Date.now();
    const { patience } = this.#options;
    const every = patience / 3;
    this.#timer = setInterval(() => {
      const now = Date.now();
      // A timer that was late shows that this page slept, not that the worker did.
      if (now - ticked > 2 * every) this.#heard = now;
      ticked = now;
      if (now - this.#heard > patience) this.#revive();
      else this.#send("ping");
    }, every);
  }

  async #join() {
    const host = this.#host;
    if (!host || this.#joining === host) return;
    this.#joining = host;
    this.readyState = CONNECTING;
    const token = await this.#token();
    if (this.#joining === host) this.#joining = undefined;
    if (this.#host !== host) return;
    const { topics, withCredentials, session, multiplex, last, from } = this.#options;
    this.#send("join", {
      url: this.#url,
      topics: [topics].flat(),
      withCredentials,
      session,
      multiplex,
      token,
      last,
      from,
      after: this.#cursor,
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
        if (Date.now() > expires) break;
        if (left === undefined) this.#tell("error", { reason: "no token", error: String(error) });
      }
      await pause(backoff(1000, failures), this.#closing.signal);
    }
    return undefined;
  }

  /** The worker is dead or hangs: another one continues after the last event that arrived here. */
  #revive() {
    // If it only hung, it ends when it reads this; its other pages follow us to the next one, so
    // that they all share a connection again.
    this.#send("retire");
    this.#drop()?.();
    this.#generation += 1;
    this.#tell("error", { reason: "worker lost" });
    this.#start();
  }

  /** Turns away from the host; returns what ends its thread. */
  #drop() {
    const { port, end } = this.#host ?? {};
    this.#host = undefined;
    clearInterval(this.#timer);
    port?.close();
    return end;
  }

  /** What the exchange reports, but for what goes on to the page as it is. */
  #on = {
    // It considered this page gone while it slept.
    pong: ({ known }) => known || this.#join(),
    token: async ({ detail }) => {
      const host = this.#host;
      const token = await this.#token({ isOther: true, ...detail });
      if (host === this.#host) this.#send("token", { token });
    },
    retired: () => this.#revive(),
    resumed: () => this.#tell("resumed", { lastEventId: this.lastEventId }),
    id: ({ id }) => (this.#cursor = this.lastEventId = id),
    event: (message) => {
      const { event: type, id, cursor } = message;
      if (cursor) this.#cursor = cursor;
      if (id) this.lastEventId = id;
      const event = new TopicEvent(message, this.#url);
      // No publisher can make a page believe that its connection is lost.
      if (!LIFE.includes(type)) this.dispatchEvent(event);
      this.onevent?.(event);
    },
  };

  /** Something happened to the connection itself. */
  #tell(type, detail) {
    if (this.readyState === CLOSED || (type === "open" && this.readyState === OPEN)) return;
    this.readyState = AFTER[type] ?? this.readyState;
    if (this.readyState === CLOSED) {
      this.#closing.abort();
      this.#send("leave");
      this.#drop();
    }
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** An event of the hub, which knows its topic and when it was published. */
class TopicEvent extends MessageEvent {
  constructor({ event, data, id, topic, time, key, whole, at }, url) {
    super(event, { data, lastEventId: id, origin: new URL(url).origin });
    Object.assign(this, { topic, key, whole, at, time: time && new Date(time) });
  }
}

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
