// The page's side: the object that `connect` returns.

import {
  CLOSED,
  CONNECTING,
  NAMES_MAX,
  OPEN,
  PATIENCE_MS,
  PATIENCE_MS_MIN,
  PINGS,
  TOKEN_MS,
} from "./limits.js";
import { HOSTS, NAME, reach } from "./hosts.js";
import { backoff, pause, within } from "./waits.js";

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

  constructor(url, options) {
    super();
    this.url = url;
    this.lastEventId = options.after ?? "";
    // Handlers, as an EventSource has them.
    for (const type of ["message", ...Object.keys(LIFE)]) {
      this[`on${type}`] = null;
      this.addEventListener(type, (event) => this[`on${type}`]?.(event));
    }
    /** Ends this connection; the shared stream ends with the last one that uses it. */
    this.close = begin(this, options);
  }
}

/** Begins to read what a page's connection wants; returns what ends it. */
function begin(page, options) {
  const { worker = "shared", patience = PATIENCE_MS, token, topics = [], ...terms } = options;
  const { url, lastEventId: after } = page;
  // Through JSON: an option that is unknown here may be a function, which no worker can be sent.
  const wanted = JSON.stringify({ ...terms, url, topics: [topics].flat(), after });
  /** What this page wants, as an exchange reads it. `after` is the id to resume after. */
  const wish = JSON.parse(wanted);
  /** Kinds of host not yet tried, the best first. */
  const kinds = Object.keys(HOSTS);
  if (!kinds.includes(worker)) throw new TypeError(`connect: worker is one of ${kinds.join(", ")}`);
  kinds.splice(0, kinds.indexOf(worker));
  if (!(patience >= PATIENCE_MS_MIN)) {
    throw new TypeError(`connect: patience is at least ${PATIENCE_MS_MIN} ms`);
  }
  if (typeof token !== "function") checkedToken(token);
  /** Where the stream is read at present: `{ port, end }`. */
  let host;
  /** Part of the worker's name: a dead one must not be found again. */
  let generation = 1;
  /** The host for which a token is being fetched. */
  let joining;
  let timer;
  const closing = new AbortController();
  const { signal } = closing;

  const send = (order, detail) => host?.port.postMessage([order, detail]);

  /** Something happened to the connection itself. */
  const tell = (type, detail) => {
    if (signal.aborted || (type === "open" && page.readyState === OPEN)) return;
    page.readyState = LIFE[type] ?? page.readyState;
    if (page.readyState === CLOSED) {
      closing.abort();
      drop("leave");
    }
    page.dispatchEvent(new CustomEvent(type, { detail }));
  };

  const lost = () => tell("error", { reason: "worker lost" });

  const wait = (failures) => pause(backoff(1000, failures), signal);

  /** Reaches a host of the best kind that works here; one that fails under another name as well. */
  const start = async () => {
    for (let failures = 1; !signal.aborted; failures += 1) {
      const [kind] = kinds;
      try {
        const found = await reach(kind, `${NAME}.${generation}`);
        page.host = kind;
        return use(found);
      } catch (error) {
        generation += 1;
        if (failures < NAMES_MAX) continue;
        if (kind === "shared" && globalThis.document && !isWarned) {
          isWarned = true;
          console.warn(`tidings.js: tabs cannot share a connection here: ${error.message}`);
        }
        if (kinds.length > 1) {
          kinds.shift();
          failures = 0;
        } else {
          lost();
          await wait(failures);
        }
      }
    }
  };

  const use = (found) => {
    if (signal.aborted) return found.port.close();
    host = found;
    // Pings without an answer are counted, and not time: a page may have slept, not the worker.
    let unanswered = 0;
    found.port.onmessage = ({ data: [what, detail] }) => {
      if (host !== found) return;
      unanswered = 0;
      if (on[what]) on[what](detail);
      else tell(what, detail);
    };
    join();
    timer = setInterval(() => {
      if (unanswered === PINGS) return revive();
      unanswered += 1;
      send("ping");
    }, patience / PINGS);
  };

  const join = async () => {
    const joined = host;
    if (!joined || joining === joined) return;
    joining = joined;
    page.readyState = CONNECTING;
    await answer("join");
    if (joining === joined) joining = undefined;
  };

  /** Sends the host what this page wants, with a token. */
  const answer = async (order, question) => {
    const asking = host;
    wish.token = await freshToken(question);
    if (host === asking) send(order, wish);
  };

  /**
   * The page's token; `undefined` if it has none, or has no other when the exchange asks for one:
   * with the `problem` of a rejection, or the milliseconds that are `left` before it expires. A
   * function that fails, or does not settle, is called again; unless the old token still serves,
   * that is an error like a lost connection.
   */
  const freshToken = async (question) => {
    if (typeof token !== "function") return question ? undefined : token;
    const { left, problem } = question ?? {};
    const expires = Date.now() + left;
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return checkedToken(await within(TOKEN_MS, token(problem)));
      } catch (error) {
        if (Date.now() > expires) return undefined;
        if (left === undefined) tell("error", { reason: "no token", error: `${error}` });
      }
      await wait(failures);
    }
  };

  /** The worker is dead or hangs: another one continues after the last event that arrived here. */
  const revive = () => {
    // If it only hung, it ends when it reads this; its other pages follow us to the next one, so
    // that they all share a connection again.
    drop("retire")();
    generation += 1;
    lost();
    start();
  };

  /** Turns away from the host with a last order; returns what ends its thread. */
  const drop = (order) => {
    send(order);
    const former = host;
    host = undefined;
    clearInterval(timer);
    former?.port.close();
    return former?.end;
  };

  /** What the exchange reports, but for what goes on to the page as it is. */
  const on = {
    // It considered this page gone while it slept.
    pong: (isKnown) => isKnown || join(),
    token: (detail) => answer("token", detail),
    retired: revive,
    resumed: () => tell("resumed", { lastEventId: page.lastEventId }),
    id: (id) => (wish.after = page.lastEventId = id),
    event: ({ event: type, data, id, cursor, topic, time, key, whole, at }) => {
      if (cursor) wish.after = cursor;
      if (id) page.lastEventId = id;
      const { origin } = new URL(url);
      const event = new MessageEvent(type, { data, lastEventId: id, origin });
      Object.assign(event, { topic, key, whole, at, time: time && new Date(time) });
      // No publisher can make a page believe that its connection is lost.
      if (!(type in LIFE)) page.dispatchEvent(event);
      page.onevent?.(event);
    },
  };

  globalThis.addEventListener?.("pagehide", () => send("leave"), { signal });
  // A page restored from the back/forward cache had left before.
  const back = (event) => event.persisted && join();
  globalThis.addEventListener?.("pageshow", back, { signal });
  start();
  return () => tell("closed", { reason: "closed here" });
}

/** Whether the console says that this page's connections are not shared with other tabs. */
let isWarned;

/** The token, or an error that says what a token is: nothing else fits into a header. */
function checkedToken(token) {
  if (!/^[\x21-\x7e]+$/.test(token ?? "none")) {
    throw new TypeError("a token is printable ASCII without spaces");
  }
  return token ?? undefined;
}
