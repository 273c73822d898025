// The page's side: the object that `connect` returns.

import {
  CLOSED,
  CONNECTING,
  NAME,
  NAMES_MAX,
  OPEN,
  PATIENCE_MS,
  PATIENCE_MS_MIN,
  RECENT_IDS,
  TOKEN_MS,
} from "./limits.js";
import { HOSTS, Silent } from "./hosts.js";
import { backoff, pause, within } from "./waits.js";

export class Connection extends EventTarget {
  #url;
  #options;
  /** Kinds of host not yet tried, the best first. */
  #kinds;
  /** Where the stream is read at present: `{ port, end }`. */
  #host;
  /** Part of the worker's name: a dead one must not be found again. */
  #generation = 1;
  #types = new Set(["message"]);
  /** The last ids that arrived, and whether the next events may repeat them. */
  #recent = [];
  #doubtful = false;
  /** Time of the worker's last report. */
  #heard = 0;
  /** The host for which a token is being fetched. */
  #joining;
  #timer;
  #closing = new AbortController();
  #leave;
  #back;

  constructor(url, options) {
    super();
    this.#url = url;
    this.#options = { topics: [], withCredentials: false, patience: PATIENCE_MS, ...options };
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
    this.lastEventId = after ?? "";
    /** Where the stream is read: "shared", "dedicated" or "page". */
    this.host = undefined;
    this.#leave = () => this.#host?.port.postMessage({ do: "leave" });
    globalThis.addEventListener?.("pagehide", this.#leave);
    // A page restored from the back/forward cache had left before.
    this.#back = (event) => event.persisted && this.#join();
    globalThis.addEventListener?.("pageshow", this.#back);
    this.#start();
  }

  get url() {
    return this.#url;
  }

  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    if (!this.#types.has(type) && !LIFE.has(type)) {
      this.#types.add(type);
      this.#host?.port.postMessage({ do: "types", types: [type] });
    }
  }

  /** Ends this connection; the shared stream ends with the last one that uses it. */
  close() {
    this.#end({ reason: "closed here" });
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
    for (let names = 0; names < NAMES_MAX; names += 1) {
      try {
        return await HOSTS[kind](`${NAME}.${this.#generation}`);
      } catch (error) {
        if (!(error instanceof Silent)) return undefined;
        this.#generation += 1;
      }
    }
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
    const { topics, withCredentials, last } = this.#options;
    host.port.postMessage({
      do: "join",
      url: this.#url,
      topics: [topics].flat(),
      withCredentials,
      token,
      types: [...this.#types],
      after: this.lastEventId,
      last: this.lastEventId ? undefined : last,
    });
  }

  /**
   * The page's token; `undefined` if it has none, or only the one that was just rejected. A
   * function that fails, or does not settle, is an error like a lost connection: it is reported,
   * and the function is called again.
   */
  async #token(refused = false, problem = undefined) {
    const { token } = this.#options;
    if (typeof token !== "function") return refused ? undefined : token;
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      try {
        return checkedToken(await within(TOKEN_MS, token(problem)));
      } catch (error) {
        if (this.readyState === CLOSED) break;
        this.readyState = CONNECTING;
        this.#tell("error", { reason: "no token", error: String(error) });
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
    this.#doubtful = true;
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
        port.postMessage({ do: "token", token: await this.#token(true, message.detail) });
        break;
      }
      case "resumed":
        this.#tell("resumed", { lastEventId: this.lastEventId });
        break;
      case "reset":
        this.#doubtful = false;
        this.#tell("reset", message.detail);
        break;
      case "closed":
        this.#end(message.detail);
        break;
      case "retired":
        this.#revive();
        break;
      case "id":
        this.lastEventId = message.lastEventId;
        break;
      case "event":
        this.#deliver(message);
    }
  }

  #deliver({ type, data, lastEventId, origin }) {
    if (lastEventId) {
      if (this.#doubtful && this.#recent.includes(lastEventId)) return;
      this.#doubtful = false;
      this.lastEventId = lastEventId;
      this.#recent.push(lastEventId);
      if (this.#recent.length > RECENT_IDS) this.#recent.shift();
    }
    this.dispatchEvent(new MessageEvent(type, { data, lastEventId, origin }));
  }

  #end(detail) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    clearInterval(this.#timer);
    this.#closing.abort();
    this.#leave();
    this.#host?.port.close();
    globalThis.removeEventListener?.("pagehide", this.#leave);
    globalThis.removeEventListener?.("pageshow", this.#back);
    this.#tell("closed", detail);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Types of events about the connection itself. */
const LIFE = new Set(["open", "resumed", "reset", "closed", "error"]);

/** The token, or an error that says what a token is: nothing else fits into a header. */
function checkedToken(token) {
  if (token !== undefined && token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("a token is printable ASCII without spaces");
  }
  return token ?? undefined;
}
