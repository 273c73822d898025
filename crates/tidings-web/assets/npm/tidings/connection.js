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

/** Types of events about the connection itself, and the `readyState` after those that change it. */
const LIFE = {
  open: OPEN,
  resumed: undefined,
  reset: undefined,
  error: CONNECTING,
  closed: CLOSED,
};

export class Connection extends EventTarget {
  readyState = CONNECTING;
  /** Where the stream is read: "shared", "dedicated" or "page". */
  host = undefined;
  /** Is called with events of every type. */
  onevent = null;
  /** What this page wants, as an exchange reads it. */
  #wish;
  #token;
  #patience;
  /** Kinds of host not yet tried, the best first. */
  #kinds;
  /** Where the stream is read at present: `{ port, end }`. */
  #host;
  /** Part of the worker's name: a dead one must not be found again. */
  #generation = 1;
  /** Time of the worker's last report. */
  #heard;
  /** The host for which a token is being fetched. */
  #joining;
  #timer;
  #closing = new AbortController();

  constructor(url, options) {
    super();
    const { topics = [], withCredentials = false, multiplex = false, after = "" } = options;
    const { worker = "shared", patience = PATIENCE_MS, token, session, last, from } = options;
    const kinds = Object.keys(HOSTS);
    if (!kinds.includes(worker)) {
      throw new TypeError(`connect: worker is one of ${kinds.join(", ")}`);
    }
    if (!(patience >= PATIENCE_MS_MIN)) {
      throw new TypeError(`connect: patience is at least ${PATIENCE_MS_MIN} ms`);
    }
    if (typeof token !== "function") checkedToken(token);
    this.url = url;
    this.lastEventId = after ?? "";
    this.#wish = { url, topics: [topics].flat(), withCredentials, session, multiplex, last, from };
    // The id to resume after.
    this.#wish.after = this.lastEventId;
    this.#token = token;
    this.#patience = patience;
    this.#kinds = kinds.slice(kinds.indexOf(worker));
    // Handlers, as an EventSource has them.
    for (const type of ["message", ...Object.keys(LIFE)]) {
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

  /** Ends this connection; the shared stream ends with the last one that uses it. */
  close() {
    this.#tell("closed", { reason: "closed here" });
  }

  #send(order, detail) {
    this.#host?.port.postMessage([order, detail]);
  }

  /** Reaches a host of the best kind that works here; one that is silent under another name. */
  async #start() {
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      const [kind] = this.#kinds;
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
          this.#lost();
          await this.#wait(failures);
        }
      }
    }
  }

  #wait(failures) {
    return pause(backoff(1000, failures), this.#closing.signal);
  }

  #lost() {
    this.#tell("error", { reason: "worker lost" });
  }

  #use(host) {
    const { port } = host;
    if (this.readyState === CLOSED) return port.close();
    this.#host = host;
    let ticked = (this.#heard = Date.now());
    port.onmessage = ({ data: [what, detail] }) => {
      if (host !== this.#host) return;
      this.#heard = Date.now();
      if (this.#on[what]) this.#on[what](detail);
      else this.#tell(what, detail);
    };
    this.#join();
    const every = this.#patience / 3;
    this.#timer = setInterval(() => {
      const now = Date.now();
      // A timer that was late shows that this page slept, not that the worker did.
      if (now - ticked > 2 * every) this.#heard = now;
      ticked = now;
      if (now - this.#heard > this.#patience) this.#revive();
      else this.#send("ping");
    }, every);
  }

  async #join() {
    const host = this.#host;
    if (!host || this.#joining === host) return;
    this.#joining = host;
    this.readyState = CONNECTING;
    const token = await this.#freshToken();
    if (this.#joining === host) this.#joining = undefined;
    if (this.#host === host) this.#send("join", { ...this.#wish, token });
  }

  /**
   * The page's token; `undefined` if it has none, or none in place of one that was rejected, or
   * expires when this many milliseconds are `left`. A function that fails, or does not settle, is
   * called again; unless the old token still serves, that is an error like a lost connection.
   */
  async #freshToken({ isOther, left, problem } = {}) {
    const token = this.#token;
    if (typeof token !== "function") return isOther ? undefined : token;
    const expires = Date.now() + left;
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      try {
        return checkedToken(await within(TOKEN_MS, token(problem)));
      } catch (error) {
        if (Date.now() > expires) return undefined;
        if (left === undefined) this.#tell("error", { reason: "no token", error: `${error}` });
      }
      await this.#wait(failures);
    }
  }

  /** The worker is dead or hangs: another one continues after the last event that arrived here. */
  #revive() {
    // If it only hung, it ends when it reads this; its other pages follow us to the next one, so
    // that they all share a connection again.
    this.#drop("retire")?.();
    this.#generation += 1;
    this.#lost();
    this.#start();
  }

  /** Turns away from the host with a last order; returns what ends its thread. */
  #drop(order) {
    this.#send(order);
    const { port, end } = this.#host ?? {};
    this.#host = undefined;
    clearInterval(this.#timer);
    port?.close();
    return end;
  }

  /** What the exchange reports, but for what goes on to the page as it is. */
  #on = {
    // It considered this page gone while it slept.
    pong: (isKnown) => isKnown || this.#join(),
    token: async (detail) => {
      const host = this.#host;
      const token = await this.#freshToken({ isOther: true, ...detail });
      if (host === this.#host) this.#send("token", token);
    },
    retired: () => this.#revive(),
    resumed: () => this.#tell("resumed", { lastEventId: this.lastEventId }),
    id: (id) => (this.#wish.after = this.lastEventId = id),
    event: ({ event: type, data, id, cursor, topic, time, key, whole, at }) => {
      if (cursor) this.#wish.after = cursor;
      if (id) this.lastEventId = id;
      const { origin } = new URL(this.url);
      const event = new MessageEvent(type, { data, lastEventId: id, origin });
      Object.assign(event, { topic, key, whole, at, time: time && new Date(time) });
      // No publisher can make a page believe that its connection is lost.
      if (!(type in LIFE)) this.dispatchEvent(event);
      this.onevent?.(event);
    },
  };

  /** Something happened to the connection itself. */
  #tell(type, detail) {
    if (this.readyState === CLOSED || (type === "open" && this.readyState === OPEN)) return;
    this.readyState = LIFE[type] ?? this.readyState;
    if (this.readyState === CLOSED) {
      this.#closing.abort();
      this.#drop("leave");
    }
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

let warned;

/** Says once that this page's connections are not shared with other tabs. */
function warn({ message }) {
  if (!warned) console.warn(`tidings.js: tabs cannot share a connection here: ${message}`);
  warned = true;
}

/** The token, or an error that says what a token is: nothing else fits into a header. */
function checkedToken(token) {
  if (!/^[\x21-\x7e]+$/.test(token ?? "none")) {
    throw new TypeError("a token is printable ASCII without spaces");
  }
  return token ?? undefined;
}
